"""Which operator of ONNX makes a value: one of another domain is another operator."""

from __future__ import annotations

from typing import TypeGuard

import onnx_ir as ir


def is_operator(node: ir.Node | None, *op_types: str) -> TypeGuard[ir.Node]:
    """Say whether a node is one of these operators, or any of ONNX's own if none are given."""
    return node is not None and not node.domain and (not op_types or node.op_type in op_types)


def operator(value: ir.Value | None) -> ir.Node | None:
    """Return the operator of ONNX that makes a value, None if it is none."""
    node = value.producer() if value is not None else None
    return node if is_operator(node) else None


def made_by(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """Return the node that makes a value as its first output, if it is one of these operators."""
    node = value.producer() if value is not None else None
    return node if is_operator(node, *op_types) and value is node.outputs[0] else None


def before(node: ir.Node | None, *op_types: str) -> ir.Node | None:
    """Return the node that makes the first operand of another one, if it is one of these."""
    return made_by(node.inputs[0], *op_types) if node is not None else None

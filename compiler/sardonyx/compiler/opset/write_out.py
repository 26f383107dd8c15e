"""Operators that a runtime lacks for their types, written out by the body of their schema."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.opset import expand, history, rewrite
from sardonyx.compiler.opset.up import raise_stamped, stamp_versions


def write_out(model: ir.Model, chosen: Callable[[ir.Node, int], bool]) -> None:
    """Put the body of their schema in the place of operators, and of those in such bodies.

    Args:
        model: The model, at one opset; changed in place.
        chosen: Says of a node and an opset whether it is to be written out; one without a body
            stays.
    """
    opset = model.opset_imports.get("")
    while opset is not None:
        with contextlib.suppress(InvalidModelError):  # Types stay as far as they are known.
            Types.inferred(model)
        stamp_versions(model)
        nodes = [node for node in _nodes(model) if not node.domain and chosen(node, opset)]
        calls = [node for node in nodes if _call(model, node, opset)]
        expand.inline(model)
        raise_stamped(model, opset)
        for node in _nodes(model):
            node.version = None
        if not calls:
            return


def _nodes(model: ir.Model) -> list[ir.Node]:
    return [node for scope in rewrite.scopes(model) for node in scope.all_nodes()]


def _call(model: ir.Model, node: ir.Node, opset: int) -> bool:
    """Make a node a call of its body; return False if it has none."""
    schema = history.at(node.op_type, opset)
    function = None if schema is None else expand.body(node, schema, opset)
    if function is None or not expand.computes(function, node):
        return False
    expand.call(model, node, function)
    return True

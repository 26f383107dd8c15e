"""Calls an operator with whatever may stand for a tensor: tensors, numbers, arrays, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sardonyx.frontends.dsl import node, shapes

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def emit(op_type: str, *given: Any, **named: Any) -> Tensor:
    """Make a node of one output and return that; see `emit_all`."""
    return emit_all(op_type, *given, **named)[0]


def emit_all(op_type: str, *given: Any, **named: Any) -> tuple[Tensor, ...]:
    """Make a node and return its outputs; arguments are those of `node.make`.

    Sizes, and lists with sizes or scalar tensors in them, become tensors first.

    Raises:
        DslError: The operands or attributes do not fit the operator.
    """
    operands = [shapes.lifted(operand) for operand in given]
    keywords = {name: shapes.lifted(value) for name, value in named.items()}
    return node.make(op_type, *operands, **keywords)

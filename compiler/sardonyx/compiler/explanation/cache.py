"""Finds caches: keys and values of an attention that are joined to some that the model is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from sardonyx.compiler.explanation.attention import ACCEPTED, products, weights_values
from sardonyx.compiler.explanation.flow import Flow, upstream
from sardonyx.compiler.explanation.site import Found, spelled

_PAST = {
    "Attention": 4,
    "com.microsoft::Attention": 4,
    "com.microsoft::MultiHeadAttention": 6,
    "com.microsoft::GroupQueryAttention": 3,
}
"""Which operand of an operator is the past key."""

_MOVES = {
    *("Reshape", "Transpose", "Expand", "Unsqueeze", "Squeeze", "Tile", "Gather", "Identity"),
    *("Cast", "CastLike", "Mul", "Div", "Slice"),
}
"""What may stand between joined keys and their product with the query."""
_STEPS = 24
"""How many of these at most."""
_PIECES = {"Gather", "Slice", "Split", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Identity"}
"""What may be done to a cache that the model is given before keys are joined to it."""


def find(flow: Flow) -> Iterator[Found]:
    """Yield the caches of a model, one for each attention."""
    for node in flow.nodes:
        place = _PAST.get(spelled(node), len(node.inputs))
        if place < len(node.inputs) and node.inputs[place] is not None:
            yield Found("kv_cache", (node,), ACCEPTED)
            continue
        joins = dict.fromkeys(j for v in _keys_and_values(node, flow) for j in _joins(v))
        if joins:
            yield Found("kv_cache", tuple(joins), ACCEPTED)


def _keys_and_values(node: ir.Node, flow: Flow) -> list[ir.Value | None]:
    """Return what an attention multiplies the query and the weights by."""
    if spelled(node) in ACCEPTED:
        return list(node.inputs[1:3])
    if node.op_type != "Softmax" or node.domain:
        return []
    scores = list(products(node, flow))
    values = list(weights_values(node, flow))
    return [v for each in (*scores, *values) for v in each.inputs[:2]] if scores else []


def _joins(value: ir.Value | None) -> Iterator[ir.Node]:
    """Yield the nodes that join a key or value to one that the model is given."""

    def operands(node: ir.Node, _: ir.Value) -> Iterable[ir.Value | None]:
        return node.inputs[:1] if node.op_type in _MOVES else ()

    for node in upstream(value, operands, _STEPS):
        if node.op_type == "Concat" and not node.domain and any(map(_is_given, node.inputs)):
            yield node


def _is_given(value: ir.Value | None) -> bool:
    """Say whether a value is an input of the model, or a piece of one."""
    while value is not None:
        node = value.producer()
        if node is None:
            return value.is_graph_input() and not value.is_initializer()
        value = node.inputs[0] if node.op_type in _PIECES and not node.domain else None
    return False

"""Finds rotary embeddings: halves, or pairs, of a value turned by sines and cosines."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from sardonyx.compiler.explanation.flow import Flow, downstream, made_by, plain
from sardonyx.compiler.explanation.site import Found, microsoft, spelled

_ROTATED = frozenset({"RotaryEmbedding"}) | microsoft("RotaryEmbedding", "GemmaRotaryEmbedding")
ACCEPTED = _ROTATED | microsoft("GroupQueryAttention")
"""Operators that rotate, or that can do so on the way."""

_PIECES = ("Slice", "Split", "Gather", "SequenceAt")
_PUT = {"Reshape", "Cast", "Identity", "Unsqueeze", "Squeeze", "Flatten", "Transpose"}


def find(flow: Flow) -> Iterator[Found]:
    """Yield the rotary embeddings of a model."""
    for node in flow.nodes:
        if spelled(node) in _ROTATED or (node.op_type == "Concat" and _is_rotation(node, flow)):
            yield Found("rotary", (node,), ACCEPTED)


def _is_rotation(joined: ir.Node, flow: Flow) -> bool:
    if joined.domain or len(joined.inputs) != 2 or not flow.is_data(joined.inputs[0]):
        return False
    a, b = (_unput(value) for value in joined.inputs)
    return _is_turned(a, b, joined) or _is_sum_of_turned(a, b)


def _is_turned(a: ir.Value | None, b: ir.Value | None, joined: ir.Node) -> bool:
    """Say whether one piece is negated, the other not, and a product reads both."""
    negated = made_by(a, "Neg")
    whole = _piece_of(negated.inputs[0]) if negated is not None else None
    if whole is None or whole is not _piece_of(b):
        return False
    reached = downstream(joined.outputs[0], lambda node, _: node.op_type in _PUT, 4)
    return any(node.op_type == "Mul" for node, _ in reached)


def _is_sum_of_turned(a: ir.Value | None, b: ir.Value | None) -> bool:
    """Say whether the pieces are a cos - b sin and b cos + a sin."""
    less, more = made_by(a, "Sub"), made_by(b, "Add")
    if less is None or more is None:
        return False
    products = [made_by(v, "Mul") for node in (less, more) for v in node.inputs]
    found = [
        {_piece_of(v) for v in p.inputs} - {None} if p is not None else set() for p in products
    ]
    return all(found) and bool(set.intersection(*found))


def _piece_of(value: ir.Value | None) -> ir.Value | None:
    """Return the value that another is a piece of."""
    node = made_by(_unput(value), *_PIECES)
    if node is not None and node.op_type == "SequenceAt":
        node = made_by(node.inputs[0], "SplitToSequence")
    return plain(node.inputs[0]) if node is not None else None


def _unput(value: ir.Value | None) -> ir.Value | None:
    while True:
        value = plain(value)
        node = made_by(value, "Unsqueeze", "Squeeze", "Reshape")
        if node is None:
            return value
        value = node.inputs[0]

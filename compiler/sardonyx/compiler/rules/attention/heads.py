"""Attention between transposes that part and join its heads is Attention of three axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.attention.reading import are_same_dims, made_by

_SWAP = (0, 2, 1, 3)


def _parted(value: ir.Value) -> ir.Value | None:
    """Return the [batch, length, heads, size] that a value with heads second is made of."""
    node = made_by(value, "Transpose")
    return node.inputs[0] if node is not None and Attributes(node).perm == _SWAP else None


def _joined(op: Builder, value: ir.Value) -> ir.Value:
    """Return [batch, length, heads * size] of what has heads on the second axis."""
    before = _parted(value)
    assert before is not None  # The guard asked for it.
    assert before.shape is not None
    heads, size = before.shape[2], before.shape[3]
    assert isinstance(heads, int)
    assert isinstance(size, int)
    made: ir.Value = op.Reshape(before, np.array([0, 0, heads * size], dtype=np.int64))
    return made


def _without_transposes(op: Builder, m: Match) -> ir.Value:
    """ONNX's Attention parts the last axis into heads by itself, and joins them again."""
    query, key, value = (_joined(op, v) for v in (m.query, m.key, m.content))
    mask = m.more[0] if m.more else None
    joined = op.Attention(
        query,
        key,
        value,
        mask,
        attributes=m.attention,
        q_num_heads=m.query.shape[1],
        kv_num_heads=m.key.shape[1],
    )
    result = m.root.outputs[0]
    if are_same_dims(_dims(joined), _dims(result)):
        made: ir.Value = joined
    else:
        made = op.Reshape(joined, m.shape, attributes=m.join)
    return made


def _is_parted(m: Match) -> bool | No:
    if any(v is not None for v in m.more[1:]):
        return no("it has a cache of past keys, which has four axes", m.more[1])
    for what, value in (("query", m.query), ("key", m.key), ("value", m.content)):
        before = _parted(value)
        if before is None:
            return no(f"the {what} does not come from a split of heads alone", value)
        if before.shape is None or not all(isinstance(d, int) for d in before.shape[2:]):
            return no(f"the heads of the {what} and their size are not known", value)
    return _joins_heads(m)


def _joins_heads(m: Match) -> bool | No:
    """Accept a Reshape whose zeros, if any, copy the first two dimensions."""
    if are_same_dims(_dims(m.root.outputs[0]), _joined_dims(m)):
        return True
    numbers = constants.array(m.shape)
    if numbers is None or m.join.allowzero or np.any(numbers[2:] == 0):
        return no("what joins the heads is no plain Reshape", m.root.outputs[0])
    return True


def _joined_dims(m: Match) -> list[int | ir.SymbolicDim]:
    batch, length, heads, size = _dims(m.transposed)
    return [batch, length, heads * size]


def _dims(value: ir.Value) -> list[int | ir.SymbolicDim]:
    return list(value.shape or ())


ATTENTION_OF_JOINED_HEADS = rule(
    "attention_of_joined_heads",
    lambda op: op.Reshape(
        op.Transpose(
            op.Attention("query", "key", "content", rest("more"), attributes="attention"),
            perm=[0, 2, 1, 3],
            output="transposed",
        ),
        "shape",
        attributes="join",
    ),
    _without_transposes,
    _is_parted,
)

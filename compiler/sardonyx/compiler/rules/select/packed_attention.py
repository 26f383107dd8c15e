"""Self attention and the linear layer that makes query, key and value of one value: one node.

ONNX Runtime's own Attention projects its input itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.attention.reading import number
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import is_operator, made_by

_MOVES = ("Reshape", "Expand", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Gather")


@dataclass(frozen=True)
class _Projection:
    """`x @ weight + bias`, whose thirds are query, key and value."""

    x: ir.Value
    weight: ir.Value
    bias: ir.Value | None


def _pack(op: Builder, m: Match) -> ir.Value:
    """Attention of three pieces of a linear layer is com.microsoft.Attention of its input."""
    found = _projection(m)
    assert isinstance(found, _Projection)  # The guard asked for it.
    weight = found.weight.shape
    assert weight is not None
    bias = found.bias
    if bias is None:
        bias = op.constant(np.zeros(weight.numpy()[1], np.float32))
    heads = m.attention.q_num_heads
    scale = m.attention.scale or (weight.numpy()[1] // 3 // heads) ** -0.5
    mask = m.more[0] if m.more else None
    hidden = _hidden_keys(mask, m.query)
    if hidden is None:
        masks, filling = (None, None, mask), None
    else:
        seen = op.Not(hidden.condition) if hidden.is_inverted else hidden.condition
        seen = op.Squeeze(seen, np.array([1, 2], dtype=np.int64))
        masks, filling = (op.Cast(seen, to=ir.DataType.INT32), None, None), hidden.fill
    made: ir.Value = op.call(
        "Attention",
        found.x,
        found.weight,
        bias,
        *masks,
        domain="com.microsoft",
        num_heads=heads,
        scale=float(scale),
        mask_filter_value=filling,
    )
    return made


@dataclass(frozen=True)
class _HiddenKeys:
    """A mask that is the same for all heads and queries, as the kernel makes of 0 and 1 itself.

    Attributes:
        condition: Which keys are seen, boolean, [batch, 1, 1, keys].
        is_inverted: Whether it says which are not.
        fill: What is added to the scores of those that are not.
    """

    condition: ir.Value
    is_inverted: bool
    fill: float


def _hidden_keys(mask: ir.Value | None, query: ir.Value) -> _HiddenKeys | None:
    """Read Where(seen, 0, fill) or its inverse, or the same with a row for each query."""
    rows = made_by(mask, "Expand")
    choice = made_by(rows.inputs[0] if rows is not None else mask, "Where")
    if choice is None:
        return None
    condition, (shown, other) = choice.inputs[0], map(number, choice.inputs[1:])
    assert condition is not None
    assert query.shape is not None
    if condition.shape is None:
        return None
    is_inverted = other == 0
    kept, fill = (other, shown) if is_inverted else (shown, other)
    if kept != 0 or fill is None or not np.isfinite(fill):
        return None
    batch, length = list(query.shape)[:2]
    has_keys = has_same_dims(list(condition.shape), [batch, 1, 1, length])
    return _HiddenKeys(condition, is_inverted, fill) if has_keys else None


def _projection(m: Match) -> _Projection | No:
    split = m.query.producer()
    if not is_operator(split, "Split"):
        return no("query, key and value are not pieces of one linear layer", m.query)
    if list(split.outputs) != [m.query, m.key, m.content]:
        return no("query, key and value are not the three pieces of one linear layer", m.query)
    joined = split.inputs[0]
    rank = len(m.query.shape or ())
    assert joined is not None
    if rank != 3 or Attributes(split).axis % rank != rank - 1:
        return no("the linear layer is not split into features", m.query)
    if not has_same_dims(m.key.shape, m.content.shape):
        return no("query, key and value differ in size", m.key)
    for piece in split.outputs:
        if len(piece.uses()) != 1 or piece.is_graph_output():
            return no("others read what the linear layer makes too", piece)
    return _linear(joined)


def _linear(result: ir.Value) -> _Projection | No:
    bias = None
    plus = made_by(result, "Add")
    if plus is not None:
        first, second = plus.inputs
        result, bias = (second, first) if constants.is_constant(first) else (first, second)  # type: ignore[assignment]
    product = made_by(result, "MatMul")
    if product is None or (bias is not None and not constants.is_constant(bias)):
        return no("query, key and value are not made by a linear layer", result)
    x, weight = product.inputs
    if not constants.is_constant(weight):
        return no("query, key and value are not made by a linear layer", result)
    assert x is not None
    assert weight is not None
    shape = weight.shape
    assert shape is not None
    if len(shape) != 2 or (bias is not None and bias.shape != [shape[1]]):
        return no("the weight is no matrix or the bias no vector", weight)
    if len(result.uses()) != 1 or result.is_graph_output():
        return no("others read what the linear layer makes too", result)
    return _Projection(x, weight, bias)


def _can_pack(m: Match) -> bool | No:
    query, attention = m.query, m.attention
    if query.dtype != ir.DataType.FLOAT:
        return no("the kernel computes in single precision", query)
    if attention.is_causal or any(v is not None for v in m.more[1:]):
        return no("it is causal, or has a cache", query)
    if attention.softcap or attention.softmax_precision not in {None, ir.DataType.FLOAT}:
        return no("its scores are capped, or their softmax is in another precision", query)
    if attention.q_num_heads != attention.kv_num_heads:
        return no("several queries share a key", m.key)
    found = _projection(m)
    if isinstance(found, No):
        return found
    mask = m.more[0] if m.more else None
    return mask is None or _is_bias(mask, query)


def _is_bias(mask: ir.Value, query: ir.Value) -> bool | No:
    """Accept what the kernel adds: a full matrix of scores, finite, as it gives NaN for -inf."""
    if mask.dtype != ir.DataType.FLOAT:
        return no("the mask is boolean: a query that sees no key gets zeros by it", mask)
    if _hidden_keys(mask, query) is not None:
        return True
    assert query.shape is not None
    if mask.shape is None or len(mask.shape) != 4:
        return no("the mask has not four axes", mask)
    length = query.shape[1]
    if not has_same_dims(list(mask.shape)[2:], [length, length]):
        return no(
            "the mask is not known to have a row for each query and a column for each key", mask
        )
    return _is_finite(mask) or no("the mask may hide all keys of a query by minus infinity", mask)


def _is_finite(value: ir.Value | None) -> bool:
    known = constants.array(value)
    if known is not None:
        return bool(np.isfinite(known).all())
    node = made_by(value, "Where", "Add", *_MOVES)
    if node is None:
        return False
    if node.op_type in _MOVES:
        return _is_finite(node.inputs[0])
    summands = node.inputs[1:] if node.op_type == "Where" else node.inputs
    return all(map(_is_finite, summands))


PACKED_ATTENTION = rule(
    "packed_attention",
    lambda op: op.Attention("query", "key", "content", rest("more"), attributes="attention"),
    _pack,
    _can_pack,
)

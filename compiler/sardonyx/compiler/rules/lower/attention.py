"""Attention as matrix products and a softmax, with what is known of its operands used.

Heads are axes; with grouped queries they are two, (key heads, queries of each), over which keys and
values broadcast: nothing is repeated in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, maybe, no, rule
from sardonyx.compiler.rules.producers import made_by

_INF = float("inf")


def _by_products(op: Builder, m: Match) -> Sequence[ir.Value]:
    """Attention is softmax(scale q k^T + mask) v."""
    heads = _heads(m)
    is_grouped, is_flat = len(heads) == 2, len(m.q.shape) == 3
    scaled = op.Mul(m.q, _scale(m))
    q = _split(op, scaled, heads) if is_flat else _grouped(op, scaled, heads)
    key, value = (_with_past(op, m, name, heads) for name in ("k", "v"))
    scores = op.MatMul(q, _transposed(op, _spread(op, key, is_grouped)))
    if m.attention.softcap:
        cap = float(m.attention.softcap)
        scores = op.Mul(op.Tanh(op.Div(scores, cap)), cap)
    bias = _bias(op, m, key, heads)
    if bias is not None:
        scores = op.Add(scores, bias)
    y = op.MatMul(_softmax(op, m, scores), _spread(op, value, is_grouped))
    if _may_exclude_all(m.mask):
        visible = op.Greater(op.ReduceMax(bias, np.array([-1], np.int64)), -_INF)
        y = op.Where(visible, y, op.CastLike(0.0, y))
    made = [_joined(op, m, y, heads), key, value]
    return made[: len(m.attention.node.outputs)]


# --- heads -----------------------------------------------------------------------------------


def _heads(m: Match) -> tuple[int, ...]:
    """Return the axes of the heads of the query: (heads,) or (key heads, queries of each)."""
    of_query, of_key = _head_counts(m)
    if of_query == of_key:
        return (of_query,)
    return (of_key, of_query // of_key)


def _head_counts(m: Match) -> tuple[int, int]:
    """Return the heads of query and key; 1 where an axis has as many of both, 0 if not known."""
    if len(m.q.shape) == 3:
        return m.attention.q_num_heads or 0, m.attention.kv_num_heads or 0
    of_query, of_key = m.q.shape[1], m.k.shape[1]
    if of_query == of_key:
        return 1, 1
    is_known = isinstance(of_query, int) and isinstance(of_key, int)
    return (of_query, of_key) if is_known else (0, 0)


def _split(op: Builder, x: ir.Value, heads: tuple[int, ...]) -> ir.Value:
    """[B, S, heads * size] -> [B, *heads, S, size]."""
    apart = op.Reshape(x, np.array([0, 0, *heads, _of_each(x, heads)], np.int64))
    inner = range(2, 2 + len(heads))
    made: ir.Value = op.Transpose(apart, perm=[0, *inner, 1, 2 + len(heads)])
    return made


def _of_each(x: ir.Value, heads: tuple[int, ...]) -> int:
    """Return the last axis of a value divided among heads; -1, which wants elements, if unknown."""
    assert x.shape is not None
    last = x.shape[-1]
    return last // math.prod(heads) if isinstance(last, int) else -1


def _grouped(op: Builder, x: ir.Value, heads: tuple[int, ...]) -> ir.Value:
    """[B, H, S, size] -> [B, *heads, S, size]."""
    if len(heads) == 1:
        return x
    assert x.shape is not None
    made: ir.Value = op.Reshape(x, np.array([0, *heads, -1, x.shape[-1]], np.int64))
    return made


def _spread(op: Builder, x: ir.Value, is_grouped: bool) -> ir.Value:
    """[B, H, T, size] -> [B, H, 1, T, size], for grouped queries."""
    made: ir.Value = op.Unsqueeze(x, np.array([2], np.int64)) if is_grouped else x
    return made


def _transposed(op: Builder, x: ir.Value) -> ir.Value:
    assert x.shape is not None
    rank = len(x.shape)
    made: ir.Value = op.Transpose(x, perm=[*range(rank - 2), rank - 1, rank - 2])
    return made


def _with_past(op: Builder, m: Match, name: str, heads: tuple[int, ...]) -> ir.Value:
    """Return keys or values as [B, key heads, T, size], those of before in front."""
    x: ir.Value = getattr(m, name)
    past: ir.Value | None = m.past_key if name == "k" else m.past_value
    if len(m.q.shape) == 3:
        x = _split(op, x, heads[:1])
    made: ir.Value = x if past is None else op.Concat(past, x, axis=2)
    return made


def _joined(op: Builder, m: Match, y: ir.Value, heads: tuple[int, ...]) -> ir.Value:
    """[B, *heads, S, size] -> the form of the query."""
    made: ir.Value = y
    if len(m.q.shape) == 3:
        inner = range(1, 1 + len(heads))
        last = 1 + len(heads)
        rows = op.Transpose(y, perm=[0, last, *inner, last + 1])
        width = m.v.shape[-1] * math.prod(heads[1:]) if isinstance(m.v.shape[-1], int) else -1
        made = op.Reshape(rows, np.array([0, 0, width], np.int64))
    elif len(heads) == 2:
        made = op.Reshape(y, np.array([0, math.prod(heads), -1, m.v.shape[-1]], np.int64))
    return made


# --- scores ----------------------------------------------------------------------------------


def _scale(m: Match) -> float:
    """Return what scores are multiplied by.

    In double precision it is what ONNX's function body of Attention makes it, for query and key
    each its root in single precision: off by 1e-7.
    """
    given = m.attention.scale
    if m.q.dtype != ir.DataType.DOUBLE:
        return float(given) if given is not None else 1 / math.sqrt(_size(m))
    single = np.float32(given) if given is not None else 1 / np.sqrt(np.float32(_size(m)))
    return float(np.sqrt(single)) ** 2


def _size(m: Match) -> int:
    """Return the length of one head's vector; 0 where it is not known."""
    last = m.q.shape[-1]
    if not isinstance(last, int):
        return 0
    return last if len(m.q.shape) == 4 else last // _head_counts(m)[0]


def _softmax(op: Builder, m: Match, scores: ir.Value) -> ir.Value:
    wanted = m.attention.softmax_precision
    precision = ir.DataType(wanted) if wanted else m.q.dtype
    wide = scores if precision == m.q.dtype else op.Cast(scores, to=precision)
    made: ir.Value = op.Softmax(wide)
    return made if precision == m.q.dtype else op.Cast(made, to=m.q.dtype)


def _bias(op: Builder, m: Match, key: ir.Value, heads: tuple[int, ...]) -> ir.Value | None:
    """Return what is added to the scores, broadcast over [B, *heads, S, T]."""
    mask: ir.Value | None = m.mask
    causal = _causal(op, m, key) if m.attention.is_causal else None
    if mask is not None and mask.dtype == ir.DataType.BOOL:
        mask, causal = (op.And(mask, causal) if causal is not None else mask), None
    parts = [
        _additive(op, m, part) if part.dtype == ir.DataType.BOOL else part
        for part in (mask, causal)
        if part is not None
    ]
    if not parts:
        return None
    whole: ir.Value = parts[0] if len(parts) == 1 else op.Add(*parts)
    return _mask_of_groups(op, whole, heads) if len(heads) == 2 else whole


def _additive(op: Builder, m: Match, allowed: ir.Value) -> ir.Value:
    numbers = (np.array(x, m.q.dtype.numpy()) for x in (0, -_INF))
    made: ir.Value = op.Where(allowed, *numbers)
    return made


def _mask_of_groups(op: Builder, mask: ir.Value, heads: tuple[int, ...]) -> ir.Value:
    """[.., H or 1, S, T] -> [.., key heads or 1, queries of each or 1, S, T]."""
    assert mask.shape is not None
    if len(mask.shape) <= 2:
        return mask
    made: ir.Value
    if mask.shape[-3] == 1:
        made = op.Unsqueeze(mask, np.array([-3], np.int64))
    else:
        before = [0] * (len(mask.shape) - 3)
        tail = [d if isinstance(d, int) else -1 for d in mask.shape[-2:]]
        made = op.Reshape(mask, np.array([*before, *heads, *tail], np.int64))
    return made


def _causal(op: Builder, m: Match, key: ir.Value) -> ir.Value:
    """Return where a key is not after its query; keys of before the first query always count."""
    query_axis = 1 if len(m.q.shape) == 3 else 2
    assert key.shape is not None
    lengths = [m.q.shape[query_axis], key.shape[2]]
    before = m.past_key.shape[2] if m.past_key is not None else 0
    if all(isinstance(d, int) for d in (*lengths, before)):
        return op.constant(np.tri(lengths[0], lengths[1], int(before), dtype=np.bool_))
    last = np.array([1], np.int64)
    rows, columns = (
        op.Range(0, op.Squeeze(op.Shape(x, start=axis, end=axis + 1)), 1)
        for x, axis in ((m.q, query_axis), (key, 2))
    )
    if m.past_key is not None:
        rows = op.Add(rows, op.Shape(m.past_key, start=2, end=3))
    made: ir.Value = op.GreaterOrEqual(op.Unsqueeze(rows, last), columns)
    return made


_KEEPS_NUMBERS = {"Cast", "Expand", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"}


def _may_exclude_all(mask: ir.Value | None) -> bool:
    """Say whether a mask may exclude all keys of a query, so that the result is defined as 0."""
    array = constants.array(mask) if mask is not None else None
    if mask is None:
        return False
    if array is not None:
        visible = array if array.dtype == np.bool_ else array > -_INF
        return not visible.any(axis=-1).all()
    dtypes = {mask.dtype}
    while (step := made_by(mask, *_KEEPS_NUMBERS)) is not None:
        mask = step.inputs[0]
        dtypes.add(mask.dtype if mask is not None else None)
    maker = made_by(mask, "Where")
    branches = maker.inputs[1:] if maker is not None else [None]
    return not all(_is_finite(branch, dtype) for branch in branches for dtype in dtypes)


def _is_finite(value: ir.Value | None, dtype: ir.DataType | None) -> bool:
    """Say whether a value is a constant of numbers that are finite in a floating-point type too."""
    array = constants.array(value)
    if array is None:
        return False
    assert dtype is not None
    if not dtype.is_floating_point():
        return False
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(dtype.numpy())).all())


# --- what is not written out -----------------------------------------------------------------


def _is_known(m: Match) -> bool | No:
    outputs = m.attention.node.outputs
    if len(outputs) > 3:
        return no("its scores are an output of their own")
    if len(outputs) > 1 and m.past_key is None:
        return no("its keys are an output, without any of before")
    if any(x.shape is None or len(x.shape) not in {3, 4} for x in (m.q, m.k, m.v)):
        return no("the rank of query, key or value is not known", m.q)
    if 0 in _head_counts(m):
        return no("its number of heads is not known", m.q)
    if m.attention.scale is None and not _size(m):
        return no("the size of its heads is not known", m.q)
    if len(_heads(m)) == 1:
        return True
    sizes = [x.shape[-1] for x in (m.q, m.v)]
    if not all(isinstance(d, int) for d in sizes):
        return no("the size of its heads is not known", m.v)
    return _is_mask_of_groups(m)


def _is_mask_of_groups(m: Match) -> bool | No:
    if m.mask is None or m.mask.shape is None or len(m.mask.shape) <= 2:
        return m.mask is None or m.mask.shape is not None or no("its mask has no known rank")
    per_head, *lengths = m.mask.shape[-3:]
    unknown = sum(not isinstance(d, int) for d in lengths)
    if per_head == 1 or (per_head == _head_counts(m)[0] and unknown <= 1):
        return True
    return no("the mask differs per head, and its shape is not known", m.mask)


ATTENTION = rule(
    "attention_by_products",
    lambda op: op.Attention(
        "q", "k", "v", maybe("mask"), maybe("past_key"), maybe("past_value"), attributes="attention"
    ),
    _by_products,
    _is_known,
)

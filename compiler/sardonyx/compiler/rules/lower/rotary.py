"""Rotary position embedding as products with the cosines and sines of its tables."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, maybe, no, rule

_LAST = np.array([-1], np.int64)


def _by_rotation(op: Builder, m: Match) -> ir.Value:
    """RotaryEmbedding turns each pair (a, b) into (a cos - b sin, a sin + b cos)."""
    heads, size = m.rope.num_heads, _size(m)
    rotated = m.rope.rotary_embedding_dim or size
    x, after = m.x, np.array([1 if len(m.x.shape) == 4 else 2], np.int64)
    if len(x.shape) == 3:
        x = op.Reshape(x, np.array([0, 0, heads, size], np.int64))
    rest = None
    if rotated != size:
        x, rest = op.Split(x, np.array([rotated, size - rotated], np.int64), axis=-1, outputs=2)
    tables = [m.cos, m.sin]
    if m.positions is not None:
        tables = [op.Gather(table, m.positions) for table in tables]
    cos, sin = (op.Unsqueeze(table, after) for table in tables)
    turned = _interleaved(op, x, cos, sin) if m.rope.interleaved else _halves(op, x, cos, sin)
    whole = turned if rest is None else op.Concat(turned, rest, axis=-1)
    made: ir.Value = whole
    if len(m.x.shape) == 3:
        made = op.Reshape(whole, np.array([0, 0, heads * size], np.int64))
    return made


def _turn(
    op: Builder, a: ir.Value, b: ir.Value, cos: ir.Value, sin: ir.Value
) -> tuple[ir.Value, ir.Value]:
    first = op.Sub(op.Mul(a, cos), op.Mul(b, sin))
    return first, op.Add(op.Mul(a, sin), op.Mul(b, cos))


def _halves(op: Builder, x: ir.Value, cos: ir.Value, sin: ir.Value) -> ir.Value:
    a, b = op.Split(x, axis=-1, num_outputs=2, outputs=2)
    made: ir.Value = op.Concat(*_turn(op, a, b, cos, sin), axis=-1)
    return made


def _interleaved(op: Builder, x: ir.Value, cos: ir.Value, sin: ir.Value) -> ir.Value:
    assert x.shape is not None
    pairs = op.Reshape(x, np.array([0, 0, 0, -1, 2], np.int64))
    a, b = (op.Squeeze(p, _LAST) for p in op.Split(pairs, axis=-1, num_outputs=2, outputs=2))
    turned = (op.Unsqueeze(p, _LAST) for p in _turn(op, a, b, cos, sin))
    made: ir.Value = op.Reshape(
        op.Concat(*turned, axis=-1), np.array([0, 0, 0, x.shape[-1]], np.int64)
    )
    return made


def _size(m: Match) -> int:
    """Return the length of one head's vector; 0 where it is not known."""
    last = m.x.shape[-1]
    heads = m.rope.num_heads if len(m.x.shape) == 3 else 1
    return last // heads if isinstance(last, int) and heads else 0


def _is_known(m: Match) -> bool | No:
    if m.x.shape is None or len(m.x.shape) not in {3, 4}:
        return no("its rank is not known to be 3 or 4", m.x)
    return _size(m) > 0 or no("the size of its heads is not known", m.x)


ROTARY = rule(
    "rotary_by_rotation",
    lambda op: op.RotaryEmbedding("x", "cos", "sin", maybe("positions"), attributes="rope"),
    _by_rotation,
    _is_known,
)

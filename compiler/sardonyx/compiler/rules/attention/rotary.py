"""Rotary position embedding, `x * cos + rotated(x) * sin`, is one RotaryEmbedding.

The pairs that are rotated are the two halves of a head (Llama), or neighbours (GPT-J).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.attention.parts import last_dim, part
from sardonyx.compiler.rules.attention.reading import Dims, is_same_dim
from sardonyx.compiler.rules.attention.rotary_table import half_table
from sardonyx.compiler.rules.canonical_identity import has_same_dims

SWAPPED = [0, 2, 1, 3]
"""Between [batch, sequence, heads, size] and [batch, heads, sequence, size]."""

TURNED = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def _rotated(op: PatternBuilder) -> Pattern:
    """Match `[-second, first]` of a head, or of each pair of neighbours in it."""
    pairs = op.Concat(
        op.Unsqueeze(op.Neg("second"), "axis"), op.Unsqueeze("first", "axis"), attributes="pairs"
    )
    return any_of(
        op.Concat(op.Neg("second"), "first", attributes="halves"),
        op.Reshape(pairs, "shape", output="flat"),
    )


def _rotary(op: Builder, m: Match) -> ir.Value | No:
    """x * cos + rotated(x) * sin is RotaryEmbedding(x, half of cos, half of sin)."""
    x, is_interleaved = m.x, m.pairs is not None
    axis = head_axis(x.shape, m.cos.shape)
    assert axis is not None  # The guard asked for it.
    tables = []
    for table in (m.cos, m.sin):
        half = half_table(op, table, interleaved=is_interleaved)
        if isinstance(half, No):
            return half
        tables.append(half)
    return turned(op, x, tables, axis, is_interleaved=is_interleaved)


def turned(
    op: Builder, x: ir.Value, tables: Sequence[ir.Value], heads: int, *, is_interleaved: bool
) -> ir.Value:
    """Return a value of four axes, one of them the heads, turned by half tables."""
    cos, sin = (_per_token(op, x, table, heads) for table in tables)
    if heads == -3:
        made: ir.Value = op.RotaryEmbedding(x, cos, sin, interleaved=int(is_interleaved))
        return made
    moved = op.Transpose(x, perm=SWAPPED)
    made = op.RotaryEmbedding(moved, cos, sin, interleaved=int(is_interleaved))
    back: ir.Value = op.Transpose(made, perm=SWAPPED)
    return back


def _per_token(op: Builder, x: ir.Value, table: ir.Value, heads: int) -> ir.Value:
    """Return a table as [batch, sequence, half of a head]."""
    assert table.shape is not None
    assert x.shape is not None
    rank = len(table.shape)
    if rank >= -heads:
        table = op.Squeeze(table, np.array([rank + heads], dtype=np.int64))
        rank -= 1
    if rank < 3:
        table = op.Unsqueeze(table, np.arange(3 - rank, dtype=np.int64))
    assert table.shape is not None
    batch = x.shape[0]
    if is_same_dim(table.shape[0], batch):
        return table
    if isinstance(batch, int):
        return op.Expand(table, np.array([batch, 1, 1], dtype=np.int64))  # type: ignore[no-any-return]
    ones = np.array([1, 1], dtype=np.int64)
    shape = op.Concat(op.Shape(x, start=0, end=1), ones, axis=0)
    made: ir.Value = op.Expand(table, shape)
    return made


def head_axis(x: Dims, table: Dims) -> int | None:
    """Return which axis of `x` has the heads, -3 or -2, as a table broadcasts over it."""
    dims = [1] * (4 - len(table)) + list(table)
    if len(dims) > 4 or (dims[0] != 1 and not is_same_dim(dims[0], x[0])):
        return None
    if dims[1] == 1 and _is_length(dims[2], x[2]):
        return -3
    return -2 if dims[2] == 1 and _is_length(dims[1], x[1]) else None


def _is_length(dim: int | ir.SymbolicDim, length: int | ir.SymbolicDim) -> bool:
    """Accept rows that are cut from a longer table too: fewer could not be multiplied by."""
    cut = re.fullmatch(r"Min\((\d+), (\w+)\)", str(dim))
    is_start = cut is not None and int(cut[1]) > 1 and cut[2] == str(length)
    return is_start or is_same_dim(dim, length)


def _is_rotation(m: Match) -> bool | No:
    x, size = m.x, last_dim(m.x)
    if x.dtype not in TURNED:
        return no("RotaryEmbedding does not compute in its dtype", x)
    if size is None or size % 2 or len(x.shape) != 4:
        return no("it is no tensor of heads with a known, even size", x)
    if m.cos.shape is None or m.sin.shape is None:
        return no("the shape of a table of angles is not known", m.cos)
    axis = head_axis(x.shape, m.cos.shape)
    if axis is None or axis != head_axis(x.shape, m.sin.shape):
        return no("the angles are not one row for each position, the same for all heads", m.cos)
    return _takes_pairs(m, size)


def _takes_pairs(m: Match, size: int) -> bool | No:
    """Demand that `first` and `second` are the two of each pair, and are put back in order."""
    whole, half = part(m.x), size // 2
    assert whole is not None
    if m.pairs is None:
        wanted, joined, last = (whole.cut(0, half), whole.cut(half, half)), m.halves, 3
    else:
        wanted, joined, last = (whole.cut(0, half, 2), whole.cut(1, half, 2)), m.pairs, 4
    if (part(m.first), part(m.second)) != wanted:
        return no("what is rotated is not the halves of a head or its neighbours", m.first)
    if joined.axis not in {-1, last}:
        return no("what is rotated is not put together along the last axis", m.first)
    if m.pairs is None:
        return True
    if last_dim(joined.node.outputs[0]) != 2:
        return no("the two of a pair are not put next to each other", m.first)
    is_flat = has_same_dims(list(m.flat.shape or ()), m.x.shape)
    return is_flat or no("the rotated pairs are not put back into the shape of a head", m.flat)


ROTARY = rule(
    "rotary_embedding",
    lambda op: op.Add(op.Mul("x", "cos"), op.Mul(_rotated(op), "sin")),
    _rotary,
    _is_rotation,
)

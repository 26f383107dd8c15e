"""Both of each pair turned and put together, `[a cos - b sin, b cos + a sin]`: a RotaryEmbedding.

The pairs are the two halves of a head, or neighbours in it: every other element each, or complex
numbers (the first Llama), of which the last of five axes is real and imaginary part. Some models
(DeepSeek) take neighbours and put halves together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.attention.parts import operand, part
from sardonyx.compiler.rules.attention.reading import dims_of
from sardonyx.compiler.rules.attention.rotary import TURNED, head_axis, turned
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by


def _pairs(op: PatternBuilder) -> Pattern:
    less = op.Sub(op.Mul("a", "cos"), op.Mul("b", "sin"))
    more = op.Add(op.Mul("b", "cos"), op.Mul("a", "sin"))
    return any_of(
        op.Concat(less, more, attributes="joined"),
        op.Concat("before", less, more, attributes="joined"),
        op.Concat(less, more, "after", attributes="joined"),
        op.Concat(
            op.Unsqueeze(less, "axis"),
            op.Unsqueeze(more, "axis"),
            attributes="joined",
            output="two",
        ),
        op.Concat(
            op.Reshape(less, "axis"), op.Reshape(more, "axis"), attributes="joined", output="two"
        ),
    )


@dataclass(frozen=True)
class _Turn:
    """What is turned.

    Attributes:
        heads: A value of four axes, or of five if the last one is the two of a pair; None if the
            pieces that are turned were never one value.
        is_interleaved: Whether pairs are neighbours.
    """

    heads: ir.Value | None
    is_interleaved: bool

    def four_axes(self, op: Builder, value: ir.Value, size: int) -> ir.Value:
        """Return a value with the pairs in one axis."""
        assert value.shape is not None
        if len(value.shape) == 4:
            return value
        made: ir.Value = op.Reshape(value, np.array([0, 0, 0, size], dtype=np.int64))
        return made


def _read(m: Match) -> _Turn | No:
    """Return what is turned; None for it stands for a and b side by side."""
    x = _neighbours(m)
    if x is not None:
        return _Turn(x, True)
    if m.two is not None or len(m.a.shape) != 4 or m.joined.axis not in {-1, 3}:
        return no("what is turned is not put together as it was taken apart", m.a)
    if not has_same_dims(dims_of(m.a), dims_of(m.b)):
        return no("what is turned is not two pieces of one size", m.b)
    return _Turn(_halves(m), False)


def _halves(m: Match) -> ir.Value | None:
    """Return [batch, ..., size] if a and b are its halves."""
    x, a = operand(m.a), part(m.a)
    whole = part(x)
    if a is None or whole is None or whole.length != 2 * a.length:
        return None
    halves = (whole.cut(0, a.length), whole.cut(a.length, a.length))
    return x if (a, part(m.b)) == halves else None


def _neighbours(m: Match) -> ir.Value | None:
    """Return the heads where a and b are every other element of them, and are so in the result."""
    dims = dims_of(m.root.outputs[0])
    if dims[4:] != [2] or m.joined.axis not in {-1, 4}:
        return None
    if not has_same_dims(dims_of(m.a)[:4], dims[:4]):
        return None
    real, imaginary = _component(m.a, 0), _component(m.b, 1)
    if real is not None and real is imaginary:
        return real if has_same_dims(dims_of(real), dims) else None
    x, a = operand(m.a), part(m.a)
    whole = part(x)
    if a is None or whole is None or whole.length != 2 * a.length:
        return None
    return x if (a, part(m.b)) == (whole.cut(0, a.length, 2), whole.cut(1, a.length, 2)) else None


def _component(value: ir.Value, index: int) -> ir.Value | None:
    """Return the value whose last axis, of two, a value is one element of."""
    gather = made_by(value, "Gather")
    if gather is not None:
        at = constants.array(gather.inputs[1])
        is_one = at is not None and at.tolist() in (index, [index])
        return gather.inputs[0] if is_one and Attributes(gather).axis in {-1, 4} else None
    squeeze = made_by(value, "Squeeze", "Reshape")
    found = part(squeeze.inputs[0] if squeeze is not None else value)
    if found is None or found.length != 1:
        return None
    return found.source if found.start == index else None


def _turn(op: Builder, m: Match) -> ir.Value:
    """[a cos - b sin, b cos + a sin] is RotaryEmbedding([a, b], cos, sin)."""
    found, half = _read(m), _half(m)
    assert not isinstance(found, No)
    assert half is not None  # The guard asked for it.
    x = op.Concat(m.a, m.b, axis=-1) if found.heads is None else found.heads
    x = found.four_axes(op, x, 2 * half)
    tables = [_flat(op, table, m.a) for table in (m.cos, m.sin)]
    axis = head_axis(dims_of(m.a), _dims_of_angles(m, m.cos))
    assert axis is not None
    made = turned(op, x, tables, axis, is_interleaved=found.is_interleaved)
    if found.is_interleaved:
        made = op.Reshape(made, np.array([0, 0, 0, half, 2], dtype=np.int64))
    # What stays as it is was put together with what is turned.
    pieces = [piece for piece in (m.before, made, m.after) if piece is not None]
    if len(pieces) > 1:
        made = op.Concat(*pieces, attributes=m.joined)
    return made


def _half(m: Match) -> int | None:
    last = m.a.shape[3]
    return last if isinstance(last, int) else None


def _flat(op: Builder, table: ir.Value, piece: ir.Value) -> ir.Value:
    """Return a table of angles without the axis of the pair, if there is one."""
    assert piece.shape is not None  # The guard asked for it.
    if len(piece.shape) == 5:
        made: ir.Value = op.Squeeze(table, np.array([-1], dtype=np.int64))
        return made
    return table


def _dims_of_angles(m: Match, table: ir.Value) -> list[int | ir.SymbolicDim]:
    """Return the dimensions of a table; that of the pair, if there is one, must be 1."""
    assert table.shape is not None  # The guard asked for it.
    dims = list(table.shape)
    if len(m.a.shape) < 5:
        return dims
    return dims[:-1] if dims[-1:] == [1] else []


def _is_rotation(m: Match) -> bool | No:
    if m.a.shape is None or m.cos.shape is None or m.sin.shape is None:
        return no("the shape of what is turned, or of the angles, is not known", m.a)
    if m.a.dtype not in TURNED:
        return no("RotaryEmbedding does not compute in its dtype", m.a)
    found = _read(m)
    if isinstance(found, No):
        return found
    half = _half(m)
    if half is None:
        return no("the size of a head is not known", m.a)
    axes = set()
    for table in (m.cos, m.sin):
        dims = _dims_of_angles(m, table)
        if dims[-1:] != [half]:
            return no("the angles are not one for each pair of a head", table)
        axes.add(head_axis(m.a.shape, dims))
    if len(axes) > 1 or None in axes:
        return no("the angles are not one row for each position, the same for all heads", m.cos)
    return True


ROTARY_PAIRS = rule("rotary_pairs", _pairs, _turn, _is_rotation)

"""Sequences whose elements are known at compile time become plain tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, maybe, no, rest, rule

_MOST_PIECES = 1024


def _sizes(m: Match) -> list[int] | No:
    """Return the lengths of the pieces of a SplitToSequence."""
    if m.x.shape is None:
        return no("the rank of the tensor that is split is not known", m.x)
    length = m.x.shape[m.split.axis]
    if m.sizes is not None and m.sizes.ndim == 1:
        return [int(size) for size in m.sizes]
    if not isinstance(length, int):
        return no("the number of pieces is not known", m.x)
    step = int(m.sizes) if m.sizes is not None else 1
    if step < 1 or length > step * _MOST_PIECES:
        return no(f"pieces of {step} are too many", m.x)
    return [min(step, length - start) for start in range(0, length, step)]


def _piece(op: Builder, m: Match) -> ir.Value:
    """A piece at a known place of a sequence of known pieces is an output of Split."""
    sizes = _sizes(m)
    assert not isinstance(sizes, No)  # The guard asked for them.
    index = int(m.index)
    if len(sizes) == 1:
        value: ir.Value = m.x
    else:
        pieces = op.Split(
            m.x, np.array(sizes, dtype=np.int64), axis=m.split.axis, outputs=len(sizes)
        )
        value = pieces[index]
    if m.sizes is None and m.split.keepdims == 0:
        value = op.Squeeze(value, np.array([m.split.axis], dtype=np.int64))
    return value


def _has_piece(m: Match) -> bool | No:
    sizes = _sizes(m)
    if isinstance(sizes, No):
        return sizes
    is_inside = -len(sizes) <= int(m.index) < len(sizes)
    return is_inside or no(f"piece {int(m.index)} of {len(sizes)} does not exist")


def _stretch(op: Builder, m: Match) -> ir.Value:
    """A piece at a known place, all pieces being equally long, is a Slice."""
    length = op.Reshape(m.length, np.array([1], dtype=np.int64))
    index = int(m.index)
    start, stop = (op.Mul(length, np.array([k], dtype=np.int64)) for k in (index, index + 1))
    made: ir.Value = op.Slice(m.x, start, stop, np.array([m.split.axis], dtype=np.int64))
    return made


def _has_one_length(m: Match) -> bool | No:
    if m.length.shape is None or len(m.length.shape) != 0 or m.length.dtype != ir.DataType.INT64:
        return no("the pieces differ in length, or their length is not known to be one", m.length)
    return int(m.index) >= 0 or no("the pieces are counted from the last", m.x)


def _concat(op: Builder, m: Match) -> ir.Value:
    """Joining a constructed sequence is Concat of its elements, each with a new axis if asked."""
    axis = m.join.axis
    elements = list(m.elements)
    if m.join.new_axis:
        elements = [op.Unsqueeze(e, np.array([axis], dtype=np.int64)) for e in elements]
    made: ir.Value = op.Concat(*elements, axis=axis)
    return made


RULES = (
    rule(
        "piece_of_split",
        lambda op: op.SequenceAt(
            op.SplitToSequence("x", maybe(const("sizes")), attributes="split"), const("index")
        ),
        _piece,
        _has_piece,
        keeps_shared=True,
    ),
    rule(
        "piece_of_equal_ones",
        lambda op: op.SequenceAt(
            op.SplitToSequence("x", "length", attributes="split"), const("index")
        ),
        _stretch,
        _has_one_length,
        keeps_shared=True,
    ),
    rule(
        "concat_of_sequence",
        lambda op: op.ConcatFromSequence(op.SequenceConstruct(rest("elements")), attributes="join"),
        _concat,
        keeps_shared=True,
    ),
)

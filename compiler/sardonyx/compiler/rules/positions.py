"""Tensors of indices that count along one of their axes: ranges, expanded and moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import dims_of, made_by

_LARGEST = 1 << 20
"""Bytes of the largest constant that is read to see whether it counts."""


@dataclass(frozen=True)
class Position:
    """Each element is `start` plus where it stands on an axis.

    Attributes:
        axis: The axis, counted from the last, -1; None where all elements are `start`.
        start: The element at place 0.
    """

    axis: int | None
    start: int


def position(value: ir.Value | None) -> Position | None:
    """Return how a tensor of integers counts, or None where that is not known."""
    dtype = value.dtype if value is not None else None
    if dtype not in {ir.DataType.INT64, ir.DataType.INT32}:
        return None
    known = constants.array(value, _LARGEST)
    if known is not None:
        return position_of(known)
    node = made_by(value, *_READERS)
    return _READERS[node.op_type](node) if node is not None else None


def position_of(array: Array) -> Position | None:
    """Return how an array counts, or None if it does not count along one axis."""
    if array.size == 0:
        return None
    start = int(array.flat[0])
    if np.all(array == start):
        return Position(None, start)
    for axis in range(-array.ndim, 0):
        length = array.shape[axis]
        along = (start + np.arange(length)).reshape(length, *[1] * (-axis - 1))
        if length > 1 and np.array_equal(array, np.broadcast_to(along, array.shape)):
            return Position(axis, start)
    return None


def _range(node: ir.Node) -> Position | None:
    known = (constants.array(node.inputs[i], 8) for i in (0, 2))
    start, step = (array.tolist() if array is not None else None for array in known)
    return Position(-1, start) if step == 1 and isinstance(start, int) else None


def _unsqueeze(node: ir.Node) -> Position | None:
    found, axes = position(node.inputs[0]), constants.array(node.inputs[1])
    if found is None or found.axis is None:
        return found
    if axes is None:
        return None
    rank = len(dims_of(node.outputs[0]))
    inserted = {int(a) % rank for a in axes.reshape(-1)}
    kept = [axis for axis in range(-rank, 0) if axis + rank not in inserted]
    return Position(kept[found.axis], found.start)


def _expand(node: ir.Node) -> Position | None:
    found = position(node.inputs[0])
    if found is None or found.axis is None:
        return found
    before, now = (dims_of(v)[found.axis :][:1] for v in (node.inputs[0], node.outputs[0]))
    return found if has_same_dims(before, now) else None


def _cast(node: ir.Node) -> Position | None:
    return position(node.inputs[0])


_READERS = {"Range": _range, "Unsqueeze": _unsqueeze, "Expand": _expand, "Cast": _cast}


def is_at_least(value: ir.Value | None, bound: int) -> bool:
    """Say whether no element of a tensor of counting integers is below a number."""
    found = position(value)
    return found is not None and found.start >= bound


def length_read(value: ir.Value | None) -> int | ir.SymbolicDim | None:
    """Return the dimension that a tensor of one element holds, if it is read off a shape."""
    while (step := made_by(value, "Squeeze", "Reshape", "Cast")) is not None:
        value = step.inputs[0]
    node = made_by(value, "Shape")
    if node is None or dims_of(value) != [1]:
        return None
    return next(iter(dims_of(node.inputs[0])[Attributes(node).start :]), None)

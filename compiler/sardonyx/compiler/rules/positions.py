"""Tensors of indices that count along one of their axes: ranges, expanded and moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by

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
    if value is None or value.shape is None or not _is_integer(value):
        return None
    known = constants.array(value, _LARGEST)
    if known is not None:
        return position_of(known)
    node = made_by(value, *_READERS)
    return _READERS[node.op_type](node, value.shape) if node is not None else None


def _is_integer(value: ir.Value) -> bool:
    return value.dtype in {ir.DataType.INT64, ir.DataType.INT32}


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
        if np.array_equal(array, np.broadcast_to(along, array.shape)):
            return Position(axis, start)
    return None


def _range(node: ir.Node, _: ir.Shape) -> Position | None:
    start, step = (constants.array(node.inputs[i], 8) for i in (0, 2))
    if start is None or start.size != 1 or step is None or step.size != 1 or step.item() != 1:
        return None
    return Position(-1, int(start.item()))


def _unsqueeze(node: ir.Node, after: ir.Shape) -> Position | None:
    found, axes = position(node.inputs[0]), constants.array(node.inputs[1])
    if found is None or found.axis is None:
        return found
    if axes is None:
        return None
    inserted = {int(a) % len(after) for a in axes.flat}
    kept = [axis for axis in range(len(after)) if axis not in inserted]
    return Position(kept[found.axis] - len(after), found.start)


def _expand(node: ir.Node, after: ir.Shape) -> Position | None:
    operand = node.inputs[0]
    found = position(operand)
    if found is None or found.axis is None:
        return found
    assert operand is not None
    assert operand.shape is not None
    is_same = has_same_dims([operand.shape[found.axis]], [after[found.axis]])
    return found if is_same else None


def _cast(node: ir.Node, _: ir.Shape) -> Position | None:
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
    operand = node.inputs[0] if node is not None else None
    if node is None or operand is None or operand.shape is None or node.outputs[0].shape != [1]:
        return None
    dim: int | ir.SymbolicDim = operand.shape[Attributes(node).start]
    return dim

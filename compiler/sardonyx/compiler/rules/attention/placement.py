"""Brings operands and masks of attention to its four axes: batch, heads, rows, columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import No, no
from sardonyx.compiler.rules.attention.reading import Dims, dims_of, is_same_dim
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by

_MOVES = ("Reshape", "Expand", "Unsqueeze", "Squeeze", "Transpose")


@dataclass(frozen=True)
class Place:
    """Where the axes of an attention are.

    Attributes:
        query: The dimensions of the query.
        rank: The number of axes of the product that is replaced.
    """

    query: Dims
    rank: int

    @property
    def new_axes(self) -> list[int]:
        """The axes of length 1 that operands lack."""
        return {2: [0, 1], 3: [1], 4: []}[len(self.query)]

    def four_axes(self, op: Builder, value: ir.Value) -> ir.Value:
        """Return a value with the axes that it lacks."""
        axes = self.new_axes
        made: ir.Value = op.Unsqueeze(value, np.array(axes, dtype=np.int64)) if axes else value
        return made

    def restored(self, op: Builder, result: ir.Value, before: Dims) -> ir.Value:
        """Return the result with the axes that the product had, which had these dimensions."""
        made = result
        if self.new_axes:
            made = op.Squeeze(result, np.array(self.new_axes, dtype=np.int64))
        elif self.rank != len(self.query):
            rows, size = list(before)[-2:]
            if isinstance(size, int) and isinstance(rows, int):
                made = op.Reshape(result, np.array([-1, rows, size], dtype=np.int64))
            else:
                tail = op.Shape(result, start=2)
                made = op.Reshape(result, op.Concat(np.array([-1], dtype=np.int64), tail, axis=0))
        return made


def why_not_placed(mask: ir.Value, view: Dims, place: Place) -> No | None:
    """Say why a mask, which is added to scores of dimensions `view`, cannot be brought there."""
    outer = _outer(mask)
    if not outer or _is_aligned(view, place) or _is_folded(mask, view):
        return None
    if _is_windowed(mask, view, place):
        return None
    return no("the mask differs along axes that are not batch and heads", mask)


def placed(op: Builder, mask: ir.Value, view: Dims, place: Place, query: ir.Value) -> ir.Value:
    """Return a mask that broadcasts to batch, heads, rows and columns."""
    assert mask.shape is not None
    rank = len(mask.shape)
    made: ir.Value = mask
    if not _outer(mask):
        if rank > 4:
            made = op.Squeeze(mask, np.arange(rank - 4, dtype=np.int64))
    elif _is_aligned(view, place):
        if place.new_axes == [1]:
            made = op.Unsqueeze(mask, np.array([1], dtype=np.int64))
    elif _is_folded(mask, view):
        shape = op.Concat(op.Shape(query, end=2), op.Shape(mask, start=1), axis=0)
        made = op.Reshape(mask, shape)
    else:
        made = _tiled(op, mask, view, query)
    return made


def _outer(mask: ir.Value) -> Dims:
    """Return the dimensions of a mask before its rows and columns, but for leading ones."""
    assert mask.shape is not None
    outer = list(mask.shape)[:-2]
    while outer and outer[0] == 1:
        outer.pop(0)
    return outer


def _is_aligned(view: Dims, place: Place) -> bool:
    """Say whether the axes of the scores are those of the attention, or what they are without."""
    outer = list(view)[:-2]
    return has_same_dims(outer, list(place.query)[:-2])


def _is_folded(mask: ir.Value, view: Dims) -> bool:
    """Say whether batch and heads are one axis of the mask, as they are of the scores there."""
    dims = dims_of(mask)
    return len(dims) == 3 and len(view) == 3 and is_same_dim(dims[0], view[0])


def _is_windowed(mask: ir.Value, view: Dims, place: Place) -> bool:
    """Say whether the batch is batch times windows, and the mask differs from window to window."""
    outer = _outer(mask)
    if len(view) != 5 or len(place.query) != 4 or len(outer) != 2:
        return False
    windows, heads = view[1:3]
    is_fixed = all(isinstance(dim, int) for dim in (windows, *dims_of(mask)))
    return is_fixed and is_same_dim(heads, place.query[1])


def _tiled(op: Builder, mask: ir.Value, view: Dims, query: ir.Value) -> ir.Value:
    """Repeat a mask of windows for each image: the batch is images times windows."""
    assert mask.shape is not None
    windows = list(view)[1]
    inner = [dim for dim in mask.shape[-3:] if isinstance(dim, int)]
    count: ir.Value = op.Div(op.Shape(query, end=1), np.array([windows], dtype=np.int64))
    shape = op.Concat(count, np.array([windows, *inner], dtype=np.int64), axis=0)
    repeated = op.Expand(mask, shape)
    made: ir.Value = op.Reshape(repeated, np.array([-1, *inner], dtype=np.int64))
    return made


def filled(op: Builder, mask: ir.Value, query: ir.Value, key: ir.Value) -> ir.Value:
    """Return a mask with a row for each query and a column for each key.

    ONNX Runtime broadcasts batch and heads of a mask, but neither rows nor columns.
    """
    if is_filled(mask, query, key):
        return mask
    lengths = [_length(op, operand) for operand in (query, key)]
    shape: ir.Value | np.ndarray[Any, Any]
    if any(isinstance(length, ir.Value) for length in lengths):
        pieces = [v if isinstance(v, ir.Value) else np.array([v], np.int64) for v in lengths]
        shape = op.Concat(*pieces, axis=0)
    else:
        shape = np.array(lengths, dtype=np.int64)
    made: ir.Value = op.Expand(mask, shape)
    return made


def with_rows(op: Builder, mask: ir.Value, query: ir.Value) -> ir.Value:
    """Return a mask of one row with a row for each query; its columns stay as they are."""
    rows, one = _length(op, query), np.array([1], np.int64)
    shape = (
        op.Concat(rows, one, axis=0)
        if isinstance(rows, ir.Value)
        else np.array([rows, 1], np.int64)
    )
    made: ir.Value = op.Expand(mask, shape)
    return made


def _length(op: Builder, operand: ir.Value) -> int | ir.Value:
    assert operand.shape is not None
    dim = operand.shape[-2]
    if isinstance(dim, int):
        return dim
    parts, axis = _parts(operand, dim)
    made: ir.Value
    made, *others = (op.Shape(part, start=axis, end=axis + 1) for part in parts)
    for other in others:
        made = op.Add(made, other)
    return made


def _parts(value: ir.Value, dim: ir.SymbolicDim) -> tuple[list[ir.Value], int]:
    """Return what rows of a value, as many as `dim`, were joined of, and along which axis.

    A mask that is no wider than past and new keys are many can be had before these are joined.
    """
    joined: ir.Value | None = value
    while (node := made_by(joined, "Concat", *_MOVES)) is not None:
        shape = node.outputs[0].shape
        if node.op_type == "Concat" and shape is not None:
            axis = Attributes(node).axis % len(shape)
            if is_same_dim(shape[axis], dim):
                return [v for v in node.inputs if v is not None], axis
        joined = node.inputs[0]
    assert value.shape is not None
    return [value], len(value.shape) - 2


def is_filled(mask: ir.Value, query: ir.Value, key: ir.Value) -> bool:
    """Say whether a mask has a row for each query and a column for each key."""
    (*_, rows, _), (*_, columns, _) = dims_of(query), dims_of(key)
    return has_same_dims(dims_of(mask)[-2:], [rows, columns])

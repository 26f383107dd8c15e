"""Gathers of all that there is, in order, are reshapes and slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rest, rule
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.positions import Position, length_read, position, position_of

_Dim = int | ir.SymbolicDim


@dataclass(frozen=True)
class _Window:
    """What is gathered along one axis of the data: some places in a row.

    Attributes:
        start: The first of them.
        length: How many, as a number or symbol.
        axis: The axis of the result, None if there is none.
    """

    start: int
    length: _Dim
    axis: int | None


def _dims_of_indices(m: Match) -> list[_Dim]:
    """Return the shape of the indices, which is known where a rule has matched."""
    indices = m.root.inputs[1]
    assert indices is not None
    return list(indices.shape or ())


def _windows(m: Match) -> list[_Window] | No:
    """Read the components of the indices, one for each axis of the data that they choose from."""
    if m.gather.batch_dims:
        return no("the gather has batch axes", m.x)
    shape = _dims_of_indices(m)
    if m.x.shape is None or not shape:
        return no("the shapes of data and indices are not known", m.x)
    found = _components(m)
    if found is None:
        return no("the indices do not count along their axes", m.root.inputs[1])
    return _ordered(found, shape[:-1], m)


def _components(m: Match) -> list[Position] | None:
    """Return how the elements of an index count, each one's position in all of them."""
    found: list[Position] = []
    if m.value("indices") is not None:
        array: Array = m.indices
        known = [position_of(array[..., k]) for k in range(array.shape[-1])]
        return None if None in known else [at for at in known if at is not None]
    for piece in m.pieces:
        whole = position(piece)
        if whole is None or piece.shape[-1] != 1 or whole.axis == -1:
            return None
        found.append(Position(whole.axis and whole.axis + 1, whole.start))
    return found


def _ordered(found: list[Position], outer: list[_Dim], m: Match) -> list[_Window] | No:
    """Give each component an axis of the result; they must come in the order of the data."""
    rank, taken = len(outer), -1
    windows = []
    for index, at in enumerate(found):
        if at.start < 0:
            return no("an index is negative", m.root.inputs[1])
        if at.axis is not None:
            axis: int | None = at.axis + rank
            if at.axis + rank <= taken:
                return no("the gather transposes", m.root.inputs[1])
        else:
            later = [p.axis + rank for p in found[index:] if p.axis is not None]
            free = range(taken + 1, min(later, default=rank))
            axis = next((a for a in free if outer[a] == 1), None)
        taken = taken if axis is None else axis
        windows.append(_Window(at.start, 1 if axis is None else outer[axis], axis))
    others = [dim for axis, dim in enumerate(outer) if axis not in {w.axis for w in windows}]
    if any(dim != 1 for dim in others):
        return no("the gather repeats what it reads", m.root.inputs[1])
    for window, length in zip(windows, m.x.shape, strict=False):
        if window.start and not isinstance(window.length, int):
            return no("the places that are gathered are not known", m.root.inputs[1])
        is_static = isinstance(length, int) and isinstance(window.length, int)
        if is_static and window.start + window.length > length:
            return no("the indices go beyond the data", m.root.inputs[1])
    return windows


def _as_window(op: Builder, m: Match) -> ir.Value:
    """GatherND of places in a row cuts each axis by itself, where it cuts at all."""
    windows = _windows(m)
    assert not isinstance(windows, No)  # The guard asked for them.
    made: ir.Value = m.x
    for axis, window in enumerate(windows):
        made = _cut(op, made, axis, window, m)
    after = m.root.outputs[0].shape
    assert after is not None
    gone = [axis for axis, window in enumerate(windows) if window.axis is None]
    kept = {window.axis for window in windows}
    new = [axis for axis in range(len(_dims_of_indices(m)) - 1) if axis not in kept]
    if gone and new and all(isinstance(dim, int) for dim in after):
        made = op.Reshape(made, np.array(after, dtype=np.int64))
    else:
        made = op.Squeeze(made, np.array(gone, dtype=np.int64)) if gone else made
        made = op.Unsqueeze(made, np.array(new, dtype=np.int64)) if new else made
    return made


def _cut(op: Builder, value: ir.Value, axis: int, window: _Window, m: Match) -> ir.Value:
    """Return a window of one axis: where a length is a symbol, it must fail if it is too long."""
    assert value.shape is not None
    length, start, made = window.length, window.start, value
    if has_same_dims([value.shape[axis]], [length]):
        return value
    if not isinstance(length, int):
        assert window.axis is not None
        number = op.Shape(m.root.inputs[1], start=window.axis, end=window.axis + 1)
        places = op.Range(np.int64(0), op.Squeeze(number), np.int64(1))
        made = op.Gather(value, places, axis=axis)
    elif not isinstance(value.shape[axis], int):
        made = op.Gather(value, np.arange(start, start + length), axis=axis)
    else:
        bounds = (np.array([at], dtype=np.int64) for at in (start, start + length, axis))
        made = op.Slice(value, *bounds)
    assert isinstance(made, ir.Value)
    return made


def _is_window(m: Match) -> bool | No:
    found = _windows(m)
    return found if isinstance(found, No) else True


def _as_reshape(op: Builder, m: Match) -> ir.Value:
    """A Gather of all elements of an axis, in order, is a Reshape."""
    axis, inner = _inner_dims(m)
    target = [*[0] * axis, *m.indices.shape, *inner]
    made: ir.Value = op.Reshape(m.x, np.array(target, dtype=np.int64))
    return made


def _inner_dims(m: Match) -> tuple[int, list[_Dim]]:
    """Return the axis that is gathered from, and the dimensions after it."""
    axis = m.gather.axis % len(m.x.shape)
    return axis, list(m.x.shape)[axis + 1 :]


def _counts_all(m: Match) -> bool | No:
    if m.x.shape is None:
        return no("the rank of what is gathered from is not known", m.x)
    axis, inner = _inner_dims(m)
    if not all(isinstance(dim, int) and dim > 0 for dim in inner) or m.indices.ndim == 0:
        return no("the shape of what is gathered is not known", m.x)
    length = m.x.shape[axis]
    is_all = m.indices.size == length and np.array_equal(
        m.indices.ravel(), np.arange(m.indices.size)
    )
    return is_all or no("the indices are not all there are, in order", m.value("indices"))


def _whole(_: Builder, m: Match) -> ir.Value:
    """A Gather of as many places as an axis has, from its first on, changes nothing."""
    value: ir.Value = m.x
    return value


def _counts_axis(m: Match) -> bool | No:
    found, shape = position(m.indices), m.indices.shape
    if found is None or found.start or len(shape) != 1 or m.x.shape is None:
        return no("the indices do not count from 0", m.indices)
    length = m.x.shape[m.gather.axis]
    is_all = has_same_dims([length], shape) and (found.axis == -1 or length == 1)
    return is_all or no("the indices are not known to be all there are", m.indices)


def _unflattened(op: Builder, m: Match) -> ir.Value:
    """A Gather of all elements of a matrix that was made flat, in order, is the matrix."""
    rows, columns = position(m.rows), position(m.columns)
    assert rows is not None  # The guard asked for them.
    assert columns is not None
    rank = len(_dims_of_indices(m))
    assert rows.axis is not None
    assert columns.axis is not None
    kept = {rows.axis + rank, columns.axis + rank}
    new = [axis for axis in range(rank + len(m.flat.shape) - 1) if axis not in kept]
    made: ir.Value = op.Unsqueeze(m.x, np.array(new, dtype=np.int64)) if new else m.x
    return made


def _counts_rows_and_columns(m: Match) -> bool | No:
    rows, columns, indices = position(m.rows), position(m.columns), _dims_of_indices(m)
    if rows is None or columns is None or m.x.shape is None:
        return no("the indices do not count along their axes", m.root.inputs[1])
    is_counting = rows.axis is not None and columns.axis is not None
    if not is_counting or rows.start or columns.start or len(m.x.shape) != 2:
        return no("the indices do not count the elements of a matrix", m.root.inputs[1])
    flat = list(m.flat.shape or ())
    if len(flat) not in {1, 2} or (len(flat) == 2 and flat[1] != 1) or m.gather.axis != 0:
        return no("what is gathered from is no flat matrix", m.flat)
    length = length_read(m.length)
    if not has_same_dims([] if length is None else [length], [m.x.shape[1]]):
        return no("an index does not count by the length of a row", m.length)
    assert rows.axis is not None
    assert columns.axis is not None
    there = [indices[rows.axis], indices[columns.axis]]
    if rows.axis >= columns.axis or not has_same_dims(there, m.x.shape):
        return no("the indices are not known to be all there are, in order", m.root.inputs[1])
    others = set(range(-len(indices), 0)) - {rows.axis, columns.axis}
    is_once = all(indices[axis] == 1 for axis in others)
    return is_once or no("the gather repeats what it reads", m.root.inputs[1])


def _only_value(op: Builder, m: Match) -> ir.Value:
    """Whatever is gathered from equal elements is that element."""
    element = np.array(m.data.flat[0], dtype=m.data.dtype)
    made: ir.Value = op.Expand(op.constant(element), op.Shape(m.root.inputs[1]))
    return made


def _one_row(op: Builder, m: Match) -> ir.Value:
    """A Gather by one index, repeated, is one row, repeated."""
    row = np.take(m.table, int(m.index.flat[0]), axis=0)
    shape = op.Concat(m.repeats, np.array(row.shape, dtype=np.int64), axis=0)
    made: ir.Value = op.Expand(op.constant(np.ascontiguousarray(row)), shape)
    return made


def _is_one_row(m: Match) -> bool | No:
    if m.index.size != 1:
        return no("the indices differ", m.value("index"))
    rank, repeats = len(_dims_of_indices(m)), m.repeats.shape
    if repeats is None or list(repeats) != [rank]:
        return no("the shape of the indices is not known", m.root.inputs[1])
    is_inside = -m.table.shape[0] <= int(m.index.flat[0]) < m.table.shape[0]
    return is_inside or no("the index is outside of the table", m.value("index"))


def _slice_of_rows(op: Builder, m: Match) -> ir.Value:
    """Rows that a slice of constant indices chooses are a slice of the rows chosen by all."""
    rows = np.ascontiguousarray(np.take(m.table, m.indices, axis=0))
    made: ir.Value = op.Slice(op.constant(rows), *m.bounds)
    return made


def _is_no_larger(m: Match) -> bool | No:
    if m.indices.size > m.table.shape[0]:
        return no("the indices are more than the rows of the table", m.value("indices"))
    bounds = (-m.table.shape[0], m.table.shape[0])
    if m.indices.size == 0 or m.indices.min() < bounds[0] or m.indices.max() >= bounds[1]:
        return no("an index is outside of the table", m.value("indices"))
    axes = constants.array(m.bounds[2]) if len(m.bounds) > 2 else None
    is_plain = axes is not None and bool(np.all(axes >= 0))
    return is_plain or no("the axes of the slice are not counted from the first", m.root.inputs[1])


def _is_uniform(array: Array) -> bool:
    return array.size > 0 and array.dtype.kind in "biuf" and bool(np.all(array == array.flat[0]))


RULES = (
    rule(
        "gather_nd_of_window",
        lambda op: any_of(
            op.GatherND("x", const("indices"), attributes="gather"),
            op.GatherND("x", op.Concat(rest("pieces"), axis=-1), attributes="gather"),
        ),
        _as_window,
        _is_window,
        keeps_shared=True,
    ),
    rule(
        "gather_of_all",
        lambda op: op.Gather("x", const("indices"), attributes="gather"),
        _as_reshape,
        _counts_all,
    ),
    rule(
        "gather_of_whole_axis",
        lambda op: op.Gather("x", "indices", attributes="gather"),
        _whole,
        _counts_axis,
    ),
    rule(
        "gather_of_flat_matrix",
        lambda op: op.Gather(
            any_of(
                op.Reshape("x", "shape", output="flat"),
                op.Flatten("x", output="flat"),
            ),
            op.Add("columns", op.Mul("rows", "length")),
            attributes="gather",
        ),
        _unflattened,
        _counts_rows_and_columns,
        keeps_shared=True,
    ),
    rule(
        "gather_elements_of_one_value",
        lambda op: op.GatherElements(const("data", _is_uniform, "one value"), "indices"),
        _only_value,
    ),
    rule(
        "gather_of_one_row",
        lambda op: op.Gather(const("table"), op.Expand(const("index"), "repeats"), axis=0),
        _one_row,
        _is_one_row,
        keeps_shared=True,
    ),
    rule(
        "gather_of_slice",
        lambda op: op.Gather(const("table"), op.Slice(const("indices"), rest("bounds")), axis=0),
        _slice_of_rows,
        _is_no_larger,
        keeps_shared=True,
    ),
)

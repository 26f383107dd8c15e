"""`x[...]` with ints, slices, None, Ellipsis and integer tensors, as numpy understands it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl import arithmetic, check, shapes, sizes
from sardonyx.frontends.dsl.dims import Dim
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.joining import stack
from sardonyx.frontends.dsl.reshaping import permute, unsqueeze
from sardonyx.frontends.dsl.symbol import RawDim, describe, is_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

_FIRST, _LAST = -(2**63), 2**63 - 1


@dataclass(frozen=True, eq=False)
class _Item:
    """One element of the index: `axis` is the axis of the indexed tensor it applies to."""

    entry: Any
    axis: int | None


def index(x: Tensor, key: Any) -> Tensor:
    """Return `x[key]`.

    Raises:
        DslError: Too many entries, one outside of a fixed size, or of a kind numpy does not take.
    """
    items = _placed(x, key if isinstance(key, tuple) else (key,))
    sliced = _slice(x, [i for i in items if isinstance(i.entry, slice)])
    picks = [i for i in items if i.axis is not None and not isinstance(i.entry, slice)]
    tensors = [i.entry for i in picks if not isinstance(i.entry, int)]
    if len(tensors) > 1:
        result, width = _pick_many(sliced, items, picks)
    else:
        width = tensors[0].rank if tensors else 0
        result = _pick_one(sliced, items, picks, width)
    return _with_new_axes(result, items, picks, width)


def _placed(x: Tensor, key: tuple[Any, ...]) -> list[_Item]:
    """Give every entry its axis, and every axis an entry."""
    entries = [_entry(x, entry) for entry in key]
    used = sum(entry is not None and entry is not Ellipsis for entry in entries)
    dots = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if used > x.rank or len(dots) > 1:
        raise DslError(
            "There are more indices than axes." if used > x.rank else "Only one ... may be used.",
            found=f"{describe(x)} with {used} indices",
            expected=f"at most {x.rank}",
        )
    at = dots[0] if dots else len(entries)
    entries[at : at + len(dots)] = [slice(None)] * (x.rank - used)
    items, axis = [], 0
    for entry in entries:
        items.append(_Item(entry, None if entry is None else axis))
        axis += entry is not None
    for item in items:
        _refuse_outside(x, item)
    return items


def _entry(x: Tensor, entry: Any) -> Any:
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return entry
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
        return int(entry)
    if isinstance(entry, Dim):
        return shapes.scalar(entry)
    if isinstance(entry, (list, np.ndarray)):
        array = np.asarray(entry)
        if array.dtype.kind in "iu":
            return shapes.constant(array.astype(np.int64))
    if is_tensor(entry) and entry.dtype.is_int:
        return entry if entry.dtype.name == "i64" else entry.cast("i64")
    raise DslError(
        "A tensor cannot be indexed with this.",
        found=f"{describe(entry)} as an index of {describe(x)}",
        expected="ints, slices, None, ... or integer tensors",
        remedy="choose elements by a bool tensor with dsl.where or dsl.op.Compress",
    )


def _refuse_outside(x: Tensor, item: _Item) -> None:
    if not isinstance(item.entry, int) or item.axis is None:
        return
    size = x.dims[item.axis]
    if isinstance(size, int) and not -size <= item.entry < size:
        raise DslError(
            f"The index {item.entry} is outside of axis {item.axis}.",
            found=describe(x),
            expected=f"{-size} to {size - 1}" if size else "no index: the axis is empty",
        )


def _slice(x: Tensor, items: list[_Item]) -> Tensor:
    """Apply all slices in one Slice node; none for those that keep everything."""
    axes, starts, ends, steps = [], [], [], []
    dims = list(x.dims)
    for item in items:
        assert item.axis is not None
        step = 1 if item.entry.step is None else item.entry.step
        if not isinstance(step, int) or step == 0:
            raise DslError("The step of a slice is a fixed number other than 0.", found=str(step))
        dim = dims[item.axis]
        start, stop = (_bound(x, b) for b in (item.entry.start, item.entry.stop))
        dims[item.axis] = size = _sliced(dim, start, stop, step)
        if step == 1 and sizes.same(size, dim):
            continue
        axes.append(item.axis)
        starts.append(start if start is not None else 0 if step > 0 else _LAST)
        ends.append(stop if stop is not None else _LAST if step > 0 else _FIRST)
        steps.append(step)
    if not axes:
        return x
    operands = [_bounds(starts), _bounds(ends), axes]
    return emit("Slice", x, *operands, None if set(steps) == {1} else steps, shape=dims)


def _bound(x: Tensor, bound: Any) -> Any:
    if bound is None or isinstance(bound, Dim):
        return bound
    if isinstance(bound, (int, np.integer)) and not isinstance(bound, bool):
        return int(bound)
    if is_tensor(bound) and bound.dtype.is_int and bound.rank == 0:
        return bound
    raise DslError(
        "This is no bound of a slice.",
        found=f"{describe(bound)}, slicing {describe(x)}",
        expected="an int, a size such as y.shape[0], or an integer scalar tensor",
    )


def _bounds(values: list[Any]) -> Any:
    has_symbols = any(not isinstance(v, int) for v in values)
    return shapes.vector(values) if has_symbols else np.asarray(values, np.int64)


def _sliced(dim: RawDim, start: Any, stop: Any, step: int) -> RawDim:
    """Return the size that a slice leaves."""
    if is_tensor(start) or is_tensor(stop):
        return _fresh()
    if start in (None, 0) and stop is None and step == 1:
        return dim
    if not any(isinstance(part, (Dim, ir.SymbolicDim)) for part in (dim, start, stop)):
        return len(range(*slice(start, stop, step).indices(int(str(dim)))))
    if start is None and stop is None:
        return (
            dim if step == -1 else _fresh() if step < 0 else sizes.plain((dim + step - 1) // step)
        )
    if step != 1 or isinstance(start, Dim):
        return _fresh()
    if start is not None and start < 0:
        return _fresh() if stop is not None or isinstance(dim, int) else sizes.clamp(-start, dim)
    end = _end(dim, stop)
    if not start and end is not None and not (isinstance(stop, int) and stop < 0):
        return end
    # n - 1 is negative where n is 0: then nothing is left.
    left = None if end is None else sizes.plain(end - (start or 0))
    if left is None or isinstance(left, int):
        return _fresh() if left is None else max(0, left)
    return sizes.plain(ir.SymbolicDim(f"max(0, {left})"))


def _end(dim: RawDim, stop: int | Dim | None) -> RawDim | None:
    """Return where a slice with step 1 ends, None where that is not known."""
    if stop is None:
        return dim
    if isinstance(stop, Dim):
        if sizes.same(stop.size, dim):
            return dim
        if isinstance(dim, int):
            return sizes.clamp(dim, stop.size)
        return sizes.plain(ir.SymbolicDim(f"min({dim}, {stop.size})"))
    if isinstance(dim, int):
        return len(range(*slice(None, stop).indices(dim)))
    return sizes.clamp(stop, dim) if stop >= 0 else sizes.plain(dim + stop)


def _fresh() -> ir.SymbolicDim:
    return current().types.new_symbol()


def _with_new_axes(x: Tensor, items: list[_Item], picks: list[_Item], width: int) -> Tensor:
    """Insert the axes that None asks for; the picked axes have become `width` axes."""
    apart = width > 0 and _is_apart(items, picks)
    new, at, seen = [], width if apart else 0, apart
    for item in items:
        if item.entry is None:
            new.append(at)
        if item not in picks:
            at += 1
        elif not seen:
            at += width
            seen = True
    return unsqueeze(x, new) if new else x


def _pick_one(x: Tensor, items: list[_Item], picks: list[_Item], width: int) -> Tensor:
    """Apply ints, and at most one index tensor, one after the other."""
    for item in reversed(picks):
        x = emit("Gather", x, item.entry, axis=item.axis)
    if not width or not _is_apart(items, picks):
        return x
    before = [i for i in items if i not in picks and i.entry is not None]
    tensor_axis = next(i.axis for i in picks if not isinstance(i.entry, int))
    first = sum(i.axis < tensor_axis for i in before if i.axis is not None and tensor_axis)
    moved = list(range(first, first + width))
    return permute(x, [*moved, *(a for a in range(x.rank) if a not in moved)])


def _is_apart(items: list[_Item], picks: list[_Item]) -> bool:
    """Say whether something else stands between the picked axes: then they come first."""
    at = [i for i, item in enumerate(items) if item in picks]
    return at[-1] - at[0] + 1 > len(at)


def _pick_many(x: Tensor, items: list[_Item], picks: list[_Item]) -> tuple[Tensor, int]:
    """Apply several index tensors at once; they broadcast, and pick one element each.

    Returns the result, and the rank that the index tensors broadcast to.
    """
    axes = [i.axis for i in picks if i.axis is not None]
    rest = [axis for axis in range(x.rank) if axis not in axes]
    indices = [
        shapes.constant(np.asarray(i.entry, np.int64)) if isinstance(i.entry, int) else i.entry
        for i in picks
    ]
    values = [e.value for e in indices]
    what = "These index tensors do not broadcast together."
    dims = check.broadcast_dims(current(), [e.dims for e in indices], what, values)
    total = functools.reduce(arithmetic.add, indices)
    shape = emit("Shape", total)
    spread = [e if list(e.dims) == dims else emit("Expand", e, shape, shape=dims) for e in indices]
    picked = emit(
        "GatherND",
        permute(x, [*axes, *rest]),
        stack(spread, axis=-1),
        shape=[*dims, *(x.dims[axis] for axis in rest)],
    )
    width = len(dims)
    before = 0 if _is_apart(items, picks) else sum(axis < axes[0] for axis in rest)
    if not before or not width:
        return picked, width
    order = [*range(width, width + before), *range(width), *range(width + before, picked.rank)]
    return permute(picked, order), width

"""`x[...]` with ints, slices, None, Ellipsis and integer tensors, as numpy understands it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sardonyx.frontends.dsl import arithmetic, check, shapes
from sardonyx.frontends.dsl.dims import Dim
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.joining import stack
from sardonyx.frontends.dsl.reshaping import permute, unsqueeze
from sardonyx.frontends.dsl.slicing import sliced
from sardonyx.frontends.dsl.symbol import describe, is_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


@dataclass(frozen=True, eq=False)
class _Item:
    """One element of the index: `axis` is the axis of the indexed tensor it applies to.

    An Ellipsis that stands for no axis is kept: numpy lets it part the axes of index tensors.
    """

    entry: Any
    axis: int | None


def index(x: Tensor, key: Any) -> Tensor:
    """Return `x[key]`.

    Raises:
        DslError: Too many entries, one outside of a fixed size, or of a kind numpy does not take.
    """
    items = _placed(x, key if isinstance(key, tuple) else (key,))
    slices = {i.axis: i.entry for i in items if i.axis is not None and isinstance(i.entry, slice)}
    cut = sliced(x, slices)
    picks = [i for i in items if i.axis is not None and not isinstance(i.entry, slice)]
    tensors = [i.entry for i in picks if not isinstance(i.entry, int)]
    if len(tensors) > 1:
        result, width = _pick_many(cut, items, picks)
    else:
        width = tensors[0].rank if tensors else 0
        result = _pick_one(cut, items, picks, width)
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
            remedy="drop one, or insert axes with None",
        )
    at = dots[0] if dots else len(entries)
    left = x.rank - used
    if left or not dots:
        entries[at : at + len(dots)] = [slice(None)] * left
    items, axis = [], 0
    for entry in entries:
        has_axis = entry is not None and entry is not Ellipsis
        items.append(_Item(entry, axis if has_axis else None))
        axis += has_axis
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
        if array.dtype.kind == "b" and array.ndim == 1:
            return shapes.constant(np.flatnonzero(array))
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
            remedy="the first element is 0, the last one -1",
        )


def _with_new_axes(x: Tensor, items: list[_Item], picks: list[_Item], width: int) -> Tensor:
    """Insert the axes that None asks for; the picked axes have become `width` axes."""
    apart = width > 0 and _is_apart(items, picks)
    new, at, seen = [], width if apart else 0, apart
    for item in items:
        if item.entry is None:
            new.append(at)
        if item not in picks:
            at += item.entry is not Ellipsis
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
    if any(list(e.dims) != dims for e in indices):
        shape = emit("Shape", functools.reduce(arithmetic.add, indices))
        indices = [
            e if list(e.dims) == dims else emit("Expand", e, shape, dims=dims) for e in indices
        ]
    order = [*axes, *rest]
    picked = emit(
        "GatherND",
        x if order == sorted(order) else permute(x, order),
        stack(indices, axis=-1),
        dims=[*dims, *(x.dims[axis] for axis in rest)],
    )
    width = len(dims)
    before = 0 if _is_apart(items, picks) else sum(axis < axes[0] for axis in rest)
    if not before or not width:
        return picked, width
    order = [*range(width, width + before), *range(width), *range(width + before, picked.rank)]
    return permute(picked, order), width

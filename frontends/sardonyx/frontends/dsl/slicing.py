"""Slices of an index: what they keep, and the Slice nodes that do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl import shapes, sizes
from sardonyx.frontends.dsl.dims import Dim
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import RawDim, describe, is_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

_FIRST, _LAST = -(2**63), 2**63 - 1

_Bounds = tuple[Any, Any, int]
"""Start, stop and step of a slice; None for an open end."""


def sliced(x: Tensor, slices: dict[int, slice]) -> Tensor:
    """Return `x` with a slice applied to each of some axes.

    Raises:
        DslError: A bound or a step is of a kind that a slice does not take.
    """
    wanted = {axis: _read(x, entry) for axis, entry in slices.items()}
    ends: dict[int, _Bounds] = {}
    for axis, (start, stop, step) in wanted.items():
        if _starts_from_the_end(x.dims[axis], start, step):
            ends[axis] = (None, start + 1 or None, 1)
            wanted[axis] = _seen_from(start, stop, step)
    return _apply(_apply(x, ends), wanted)


def _starts_from_the_end(dim: RawDim, start: Any, step: int) -> bool:
    """Say whether a backward slice starts at -k of an unknown size.

    Where the size is below k, Python starts before the first element and keeps nothing; ONNX
    starts at the first one. Cutting the end off first is right for both.
    """
    return step < 0 and isinstance(start, int) and start < 0 and not isinstance(dim, int)


def _seen_from(start: int, stop: Any, step: int) -> _Bounds:
    """Return a backward slice as one of the part that ends with the element at `start`."""
    if not isinstance(stop, int) or stop >= 0:
        return None, stop, step
    return (None, stop - start - 1, step) if stop < start else (0, 0, 1)


def _apply(x: Tensor, wanted: dict[int, _Bounds]) -> Tensor:
    """Apply slices in one Slice node; none for those that keep everything."""
    rows: list[tuple[int, Any, Any, int]] = []
    dims = list(x.dims)
    for axis, (start, stop, step) in wanted.items():
        dim = dims[axis]
        dims[axis] = size = _size(dim, start, stop, step)
        if step == 1 and sizes.same(size, dim):
            continue
        if size == 0:
            rows.append((axis, 0, 0, 1))
            continue
        first = start if start is not None else 0 if step > 0 else _LAST
        last = stop if stop is not None else _LAST if step > 0 else _FIRST
        rows.append((axis, first, last, step))
    if not rows:
        return x
    axes, starts, stops, steps = (list(column) for column in zip(*rows, strict=True))
    operands = [_bounds(starts), _bounds(stops), axes, None if set(steps) == {1} else steps]
    return emit("Slice", x, *operands, dims=dims)


def _read(x: Tensor, entry: slice) -> _Bounds:
    step = 1 if entry.step is None else entry.step
    if not isinstance(step, (int, np.integer)) or step == 0:
        raise DslError(
            "The step of a slice is a fixed number other than 0.",
            found=str(step),
            expected="an int such as 2 or -1",
            remedy="to take elements at computed places: x[dsl.arange(...)]",
        )
    start, stop = _bound(x, entry.start), _bound(x, entry.stop)
    if step < 0 and not isinstance(start, int | None):
        raise DslError(
            "A backward slice needs a fixed start.",
            found=describe(start),
            expected="an int, or nothing for the end",
            remedy="cut first, then reverse: x[: start + 1][::-1]",
        )
    return start, stop, int(step)


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
        remedy="take one element of a tensor: n[0]; cast floats: n.cast(dsl.i64)",
    )


def _bounds(values: list[Any]) -> Any:
    has_symbols = any(not isinstance(v, int) for v in values)
    return shapes.vector(values) if has_symbols else np.asarray(values, np.int64)


def _size(dim: RawDim, start: Any, stop: Any, step: int) -> RawDim:
    """Return the size that a slice leaves."""
    if is_tensor(start) or is_tensor(stop):
        return _fresh()
    if start in (None, 0) and stop is None and step == 1:
        return dim
    if isinstance(dim, int) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        return len(range(*slice(start, stop, step).indices(dim)))
    if start is None and stop is None and abs(step) > 1:
        return sizes.plain((dim + abs(step) - 1) // abs(step))
    if start is None and stop is None:
        return dim
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
        if "-" in str(stop.size):  # it may be negative, and count from the end
            return None
        if isinstance(dim, int):
            return sizes.clamp(dim, stop.size)
        return sizes.plain(ir.SymbolicDim(f"min({dim}, {stop.size})"))
    if isinstance(dim, int):
        return len(range(*slice(None, stop).indices(dim)))
    return sizes.clamp(stop, dim) if stop >= 0 else sizes.plain(dim + stop)


def _fresh() -> ir.SymbolicDim:
    return current().types.new_symbol()

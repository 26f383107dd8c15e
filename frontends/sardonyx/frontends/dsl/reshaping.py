"""Shape changes of one tensor: reshape, transpose, squeeze, expand, flatten, cast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl import check, shapes, sizes
from sardonyx.frontends.dsl.dims import Dim, SizeLike
from sardonyx.frontends.dsl.dtypes import DTypeLike, to_dtype
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import RawDim, describe, is_tensor, listed, require_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def axis_of(x: Tensor, axis: int, *, rank: int | None = None) -> int:
    """Return an axis counted from the front.

    Raises:
        DslError: The tensor has no such axis.
    """
    require_tensor(x)
    rank = x.rank if rank is None else rank
    is_whole = isinstance(axis, (int, np.integer)) and not isinstance(axis, bool)
    if not is_whole or not -rank <= axis < rank:
        raise DslError(
            f"There is no axis {axis!r}.",
            found=describe(x),
            expected=f"an int from {-rank} to {rank - 1}" if rank else "no axis: it is a scalar",
            remedy="axes count from 0 in front, or from -1 at the end; x.ndim says how many",
        )
    return int(axis) % rank


def axes_of(x: Tensor, axes: int | Sequence[int] | None) -> list[int]:
    """Return axes counted from the front; all for None.

    Raises:
        DslError: The tensor has no such axis, or one is named twice.
    """
    require_tensor(x)
    if axes is None:
        return list(range(x.rank))
    found = [axis_of(x, axis) for axis in listed(axes)]
    if len(set(found)) < len(found):
        raise DslError(
            "An axis is named twice.",
            found=f"{found} of {describe(x)}",
            expected="each axis once",
            remedy="leave one out; -1 is the last axis",
        )
    return found


def flat_sizes(shape: Sequence[Any]) -> list[Any]:
    """Return the sizes of `f(x, 2, 3)` and of `f(x, (2, 3))` as one list."""
    if len(shape) == 1 and isinstance(shape[0], (list, tuple)):
        return list(shape[0])
    return list(shape)


def reshape(x: Tensor, *shape: SizeLike | Sequence[SizeLike]) -> Tensor:
    """Return the elements in the same order in another shape.

    Args:
        x: Any tensor.
        shape: Sizes: ints, one -1 for the rest, `x.shape[i]`, names of symbolic sizes.

    Raises:
        DslError: The numbers of elements differ, or more than one size is -1.
    """
    require_tensor(x)
    wanted = [shapes.named(item) if isinstance(item, str) else item for item in flat_sizes(shape)]
    if x.value.shape is None:
        return emit("Reshape", x, shapes.vector(wanted), allowzero=None)
    open_axes = [i for i, item in enumerate(wanted) if _is_rest(item)]
    known = [shapes.raw(item) for item in wanted]
    if len(open_axes) > 1:
        raise DslError(
            "Only one size of a reshape may be -1.",
            found=f"reshape{tuple(wanted)}",
            expected="numbers, x.shape[i], and one -1 at most",
            remedy="write the other one as x.shape[i]",
        )
    total = sizes.product(x.dims)
    fixed = sizes.product(dim for dim in known if dim is not None)
    is_complete = all(d is not None for i, d in enumerate(known) if i not in open_axes)
    rest = sizes.quotient(total, fixed) if is_complete else None
    if is_complete and _cannot_hold(total, fixed, rest, bool(open_axes)):
        raise DslError(
            "A reshape cannot change the number of elements.",
            found=f"{describe(x)} has {total} elements, {_shown(wanted)} "
            + (f"has groups of {fixed}" if open_axes else f"has {fixed}"),
            expected=f"sizes whose product is {total}",
            remedy="let one size be -1",
        )
    if open_axes and rest is not None:
        known[open_axes[0]] = rest
    target = _target(x, wanted, known, is_complete and sizes.same(total, fixed))
    result = known if all(dim is not None for dim in known) else None
    return emit("Reshape", x, target[0], allowzero=target[1] or None, dims=result)


def _target(
    x: Tensor, wanted: list[Any], known: list[RawDim | None], is_exact: bool
) -> tuple[Any, int]:
    """Return the shape operand of a Reshape, constant wherever possible, and `allowzero`."""
    target: list[Any] = []
    has_rest = any(map(_is_rest, wanted))
    has_zero = any(isinstance(item, int) and item == 0 for item in wanted)
    for axis, item in enumerate(wanted):
        dim = known[axis]
        if not isinstance(item, Dim):
            target.append(item)
        elif not has_zero and axis < x.rank and dim is not None and sizes.same(dim, x.dims[axis]):
            target.append(0)
        elif is_exact and not has_rest and not has_zero:
            target.append(-1)
            has_rest = True
        else:
            return shapes.vector(wanted), 1
    if any(map(is_tensor, target)):
        return shapes.vector(wanted), 1
    return np.asarray(target, np.int64), int(has_zero)


def _is_rest(item: Any) -> bool:
    if isinstance(item, (int, np.integer)) and item < -1:
        raise DslError(
            "A size is negative.",
            found=str(item),
            expected="-1 or a size",
            remedy="let one size be -1: it is what is left",
        )
    return isinstance(item, (int, np.integer)) and item == -1


def _cannot_hold(total: RawDim, fixed: RawDim, rest: RawDim | None, is_open: bool) -> bool:
    if is_open:
        return rest is None and sizes.are_in_proportion(total, fixed)
    return sizes.differ(total, fixed, ()) or sizes.are_in_proportion(total, fixed)


def _shown(wanted: Sequence[Any]) -> str:
    return f"[{', '.join(str(w) for w in wanted)}]"


def flatten(x: Tensor, start: int = 1, end: int = -1) -> Tensor:
    """Return `x` with the axes from `start` to `end` (both included) joined into one.

    The default keeps the first axis, the batch: [batch, 16, 5, 5] becomes [batch, 400].

    Raises:
        DslError: The tensor has no such axes, or `end` comes before `start`.
    """
    first, last = axis_of(x, start), axis_of(x, end)
    if last < first:
        raise DslError(
            f"flatten ends at axis {end} before it starts at {start}.",
            found=f"axes {first} to {last} of {describe(x)}",
            expected="a first axis that is not behind the last one",
            remedy="swap them",
        )
    joined = sizes.product(x.dims[first : last + 1])
    dims = [*x.dims[:first], joined, *x.dims[last + 1 :]]
    if first == 1 and last == x.rank - 1:
        return emit("Flatten", x, axis=1, dims=dims)
    return reshape(x, *x.shape[:first], -1, *x.shape[last + 1 :])


def permute(x: Tensor, *axes: int | Sequence[int]) -> Tensor:
    """Return `x` with its axes in the order `axes`.

    Raises:
        DslError: `axes` does not name each axis once.
    """
    order = axes_of(x, flat_sizes(axes))
    if len(order) != x.rank:
        raise DslError(
            "permute needs every axis once.",
            found=f"axes {order} of {describe(x)}",
            expected=f"{x.rank} axes",
            remedy="use x.transpose(a, b) to swap two of them",
        )
    return emit("Transpose", x, perm=order)


def transpose(x: Tensor, first: int = -1, second: int = -2) -> Tensor:
    """Return `x` with two axes swapped, by default the last two.

    Raises:
        DslError: The tensor has no such axes.
    """
    a, b = axis_of(x, first), axis_of(x, second)
    order = list(range(x.rank))
    order[a], order[b] = order[b], order[a]
    return emit("Transpose", x, perm=order)


def squeeze(x: Tensor, axes: int | Sequence[int]) -> Tensor:
    """Return `x` without the axes `axes`, whose size is 1.

    Raises:
        DslError: One of them has another size.
    """
    gone = axes_of(x, axes)
    for axis in gone:
        if isinstance(x.dims[axis], int) and x.dims[axis] != 1:
            raise DslError(
                f"squeeze removes axes of size 1; axis {axis} has {x.dims[axis]}.",
                found=describe(x),
                expected="axes of size 1",
                remedy="use x.flatten(...) or x[..., 0]",
            )
    return emit("Squeeze", x, gone)


def unsqueeze(x: Tensor, axes: int | Sequence[int]) -> Tensor:
    """Return `x` with new axes of size 1 at the positions `axes` of the result.

    Raises:
        DslError: The result has no such axis.
    """
    require_tensor(x)
    given = listed(axes)
    rank = x.rank + len(given)
    return emit("Unsqueeze", x, [axis_of(x, axis, rank=rank) for axis in given])


def expand(x: Tensor, *shape: SizeLike | Sequence[SizeLike]) -> Tensor:
    """Return `x` repeated along its axes of size 1 to a larger shape; -1 keeps a size.

    Raises:
        DslError: The shape has fewer axes, or another size where that of `x` is not 1.
    """
    require_tensor(x)
    given = flat_sizes(shape)
    extra = len(given) - x.rank
    if extra < 0:
        raise DslError(
            "expand cannot drop axes.",
            found=f"{describe(x)} to {_shown(given)}",
            expected=f"{x.rank} sizes or more",
            remedy="name every axis; -1 keeps its size",
        )
    kept = [
        x.shape[axis - extra] if axis >= extra and _is_rest(item) else item
        for axis, item in enumerate(given)
    ]
    wanted = [shapes.named(item) if isinstance(item, str) else item for item in kept]
    known = [shapes.raw(item) for item in wanted]
    result: list[RawDim] | None = None
    if all(dim is not None for dim in known):
        target = [dim for dim in known if dim is not None]
        what = f"This does not expand to {_shown(wanted)}."
        result = check.broadcast_dims(current(), [x.dims, target], what, [x.value])
        if any(d != 1 and t == 1 for d, t in zip(x.dims, target[extra:], strict=True)):
            raise DslError(
                what,
                found=describe(x),
                expected="sizes of 1 where it grows",
                remedy="repeat whole pieces with dsl.tile",
            )
    return emit("Expand", x, shapes.vector(wanted), dims=result)


def cast(x: Tensor, dtype: DTypeLike) -> Tensor:
    """Return `x` in another dtype; `x` itself where it has that dtype.

    Raises:
        DslError: There is no such dtype.
    """
    require_tensor(x)
    code = to_dtype(dtype).code
    return x if x.value.dtype == code else emit("Cast", x, to=code)


def tile(x: Tensor, *repeats: int | Sequence[int]) -> Tensor:
    """Return `x` repeated `repeats[i]` times along axis i.

    Raises:
        DslError: There is not one number for each axis.
    """
    require_tensor(x)
    counts = flat_sizes(repeats)
    if len(counts) != x.rank:
        raise DslError(
            "tile needs one number for each axis.",
            found=f"{counts} for {describe(x)}",
            expected=f"{x.rank} numbers",
            remedy="write 1 for an axis that is not repeated",
        )
    dims: list[int | ir.SymbolicDim] = [
        sizes.plain(dim * count) for dim, count in zip(x.dims, counts, strict=True)
    ]
    return emit("Tile", x, counts, dims=dims)

"""Several tensors to one and one to several: concat, stack, split, pad, gather; and new tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sardonyx.frontends.dsl import shapes, sizes
from sardonyx.frontends.dsl.dims import SizeLike
from sardonyx.frontends.dsl.dtypes import DTypeLike, f32, i64, to_dtype
from sardonyx.frontends.dsl.emit import emit, emit_all
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.reshaping import axis_of, flat_sizes, unsqueeze
from sardonyx.frontends.dsl.symbol import describe, describe_all, is_tensor, require_tensor
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


_MOST_HELD = 1024
"""A tensor of one number with more elements is made when the model runs, not kept in the file."""


def concat(tensors: Sequence[Tensor], axis: int = -1) -> Tensor:
    """Return tensors joined along an existing axis; the other sizes are equal.

    Raises:
        DslError: Ranks or other sizes differ, or there is nothing to join.
    """
    listed = list(tensors) if isinstance(tensors, (list, tuple)) else []
    if not listed or not all(map(is_tensor, listed)):
        raise DslError(
            "concat joins a list of tensors.",
            found=describe(tensors),
            expected="dsl.concat([x, y], axis=1)",
            remedy="put the tensors into a list",
        )
    where = axis_of(listed[0], axis)
    for other in listed[1:]:
        _refuse_other_sizes(listed[0], other, where)
    return emit("Concat", *listed, axis=where)


def _refuse_other_sizes(x: Tensor, other: Tensor, axis: int) -> None:
    declared = current().declared
    is_other = x.rank != other.rank or any(
        i != axis and sizes.differ(a, b, declared)
        for i, (a, b) in enumerate(zip(x.dims, other.dims, strict=False))
    )
    if is_other:
        raise DslError(
            f"These tensors cannot be joined along axis {axis}.",
            found=describe_all(x, other),
            expected=f"equal sizes on every axis but {axis}",
            remedy="join along another axis, reshape one, or give equal sizes one name",
        )


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Return tensors of one shape joined along a new axis.

    Raises:
        DslError: The shapes differ.
    """
    return concat([unsqueeze(x, axis) for x in tensors], axis)


def split(x: Tensor, parts: int | Sequence[int], axis: int = -1) -> tuple[Tensor, ...]:
    """Return pieces of `x` along an axis.

    Args:
        x: Any tensor.
        parts: How many equal pieces, or the size of each.
        axis: Where to cut.

    Raises:
        DslError: The pieces do not add up to the size, or it is not divisible.
    """
    where = axis_of(x, axis)
    size = x.dims[where]
    pieces = parts if isinstance(parts, int) else len(parts)
    asked = size if isinstance(parts, int) else sum(parts)
    is_divisible = not isinstance(parts, int) or not isinstance(size, int) or size % pieces == 0
    if pieces < 1 or not is_divisible or (isinstance(size, int) and asked != size):
        raise DslError(
            f"Axis {where} of size {size} does not split like this.",
            found=f"split({describe(x)}, {parts})",
            expected=f"a divisor of {size}, or sizes that add up to {size}",
            remedy="give the size of each piece: dsl.split(x, [3, 4])",
        )
    if isinstance(parts, int):
        return emit_all("Split", x, num_outputs=parts, axis=where, outputs=parts)
    return emit_all("Split", x, list(parts), axis=where, outputs=pieces)


def pad(
    x: Tensor,
    pads: Sequence[tuple[int, int] | int],
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant",
    value: float = 0,
) -> Tensor:
    """Return `x` with a border.

    Args:
        x: Any tensor.
        pads: For each axis how many elements before and after it: one number, or two.
        mode: What the border holds.
        value: The number in a constant border.

    Raises:
        DslError: There is not one entry for each axis.
    """
    require_tensor(x)
    pairs = [(p, p) if isinstance(p, int) else tuple(p) for p in pads]
    if len(pairs) != x.rank:
        raise DslError(
            "pad needs one entry for each axis.",
            found=f"{pairs} for {describe(x)}",
            expected=f"{x.rank} entries such as (1, 1)",
            remedy="write 0 for an axis that gets no border",
        )
    flat = [before for before, _ in pairs] + [after for _, after in pairs]
    fill = value if mode == "constant" and value else None
    dims = [sizes.plain(d + b + a) for d, (b, a) in zip(x.dims, pairs, strict=True)]
    return emit("Pad", x, flat, fill, mode=mode, dims=dims)


def gather(x: Tensor, indices: Any, axis: int = 0) -> Tensor:
    """Return the slices of `x` at integer `indices` along an axis; negative ones count back.

    Raises:
        DslError: The tensor has no such axis, or the indices are no integers.
    """
    return emit("Gather", x, indices, axis=axis_of(x, axis))


def constant(numbers: Any, dtype: DTypeLike | None = None) -> Tensor:
    """Return numbers or an array as a tensor that is no parameter.

    Raises:
        DslError: They are no numbers of that dtype.
    """
    if dtype is None:
        return shapes.tensor_of(numbers)
    data = np.asarray(numbers)
    return shapes.constant(data.astype(to_dtype(dtype).numpy))


def full(shape: Sequence[SizeLike], number: float, dtype: DTypeLike = f32) -> Tensor:
    """Return a tensor of `shape` that holds one number.

    Raises:
        DslError: `shape` holds something that is no size.
    """
    listed = [shapes.named(i) if isinstance(i, str) else i for i in flat_sizes([shape])]
    known = [shapes.raw(item) for item in listed]
    value = np.asarray([number], to_dtype(dtype).numpy)
    fixed = [dim for dim in known if isinstance(dim, int)]
    if len(fixed) == len(known) and math.prod(fixed) <= _MOST_HELD:
        return shapes.constant(np.full(fixed, value[0]))
    result = known if all(dim is not None for dim in known) else None
    return emit("ConstantOfShape", shapes.vector(listed), value=value, dims=result)


def zeros(shape: Sequence[SizeLike], dtype: DTypeLike = f32) -> Tensor:
    """Return a tensor of `shape` that holds zeros."""
    return full(shape, 0, dtype)


def ones(shape: Sequence[SizeLike], dtype: DTypeLike = f32) -> Tensor:
    """Return a tensor of `shape` that holds ones."""
    return full(shape, 1, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: DTypeLike = i64) -> Tensor:
    """Return `start, start + step, ...` below `stop`; with one argument, from 0 up to it.

    Args:
        start: Number, size or scalar tensor.
        stop: Likewise.
        step: Likewise.
        dtype: The dtype of the result.
    """
    wanted = to_dtype(dtype)
    bounds = [0, start, step] if stop is None else [start, stop, step]
    if all(isinstance(b, (int, float)) for b in bounds):
        return shapes.constant(np.arange(*bounds, dtype=wanted.numpy))
    scalars = [shapes.lifted(b) for b in bounds]
    tensors = [b.cast(wanted) if is_tensor(b) else np.asarray(b, wanted.numpy) for b in scalars]
    size = shapes.raw(bounds[1]) if bounds[0] == 0 and bounds[2] == 1 else None
    return emit("Range", *tensors, dims=None if size is None else [size])

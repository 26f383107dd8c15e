"""Operators that write numbers to places, or take axes away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT


def put(x: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Write numbers to places counted over the whole tensor."""
    flat, at = x.reshape(-1), index.reshape(-1)
    at = torch.where(at < 0, at + flat.shape[0], at)
    made = (
        flat.scatter_add(0, at, source.reshape(-1))
        if accumulate
        else flat.scatter(0, at, source.reshape(-1))
    )
    return made.reshape(x.shape)


def index_reduce(
    x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Reduce slices of ``source`` into the slices of ``x`` that the index names."""
    if x.dim() == 0:
        row = source.reshape(1)
        return index_reduce(
            x.reshape(1), 0, index.reshape(1), row, reduce, include_self=include_self
        ).reshape(())
    sizes = [1] * x.dim()
    sizes[dim] = index.shape[0]
    at = index.reshape(sizes).expand(source.shape)
    return torch.scatter_reduce(x, dim, at, source, reduce, include_self=include_self)


def scatter_mean(
    x: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Scatter_reduce by the mean; ONNX scatters by sums, products and extremes."""
    if reduce != "mean":
        return LEFT
    if x.dim() == 0:
        row, at, new = (tensor.reshape(1) for tensor in (x, index, src))
        return scatter_mean(row, 0, at, new, reduce, include_self=include_self).reshape(())
    taken = src[tuple(slice(size) for size in index.shape)]
    start = x if include_self else x.scatter(dim, index, 0)
    total = start.scatter_add(dim, index, taken)
    count = torch.zeros_like(x).scatter_add(dim, index, torch.ones_like(taken))
    if include_self:
        count = count + 1
    is_hit = count > 0
    safe = torch.where(is_hit, count, 1)
    mode = None if x.is_floating_point() else "floor"
    return torch.where(is_hit, torch.div(total, safe, rounding_mode=mode), x)


def scatter(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Scatter into a scalar, which for ONNX has no axis."""
    return _into_scalar(torch.scatter, x, index, src)


def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Scatter_add into a scalar."""
    return _into_scalar(torch.scatter_add, x, index, src)


def scatter_number(x: Tensor, dim: int, index: Tensor, value: float) -> Tensor:
    """Scatter one number into a scalar."""
    return scatter(x, dim, index, torch.full_like(x, value)) if x.dim() == 0 else LEFT


def _into_scalar(write: Callable[..., Tensor], x: Tensor, index: Tensor, src: Tensor) -> Tensor:
    if x.dim() > 0:
        return LEFT
    return write(x.reshape(1), 0, index.reshape(1), src.reshape(1)).reshape(())


def scatter_with(x: Tensor, dim: int, index: Tensor, src: Tensor, *, reduce: str) -> Tensor:
    """Scatter that adds or multiplies."""
    if x.dim() == 0:
        return scatter_with(
            x.reshape(1), 0, index.reshape(1), src.reshape(1), reduce=reduce
        ).reshape(())
    kind = {"add": "sum", "multiply": "prod"}[reduce]
    return torch.scatter_reduce(x, dim, index, src, kind)


def scatter_number_with(x: Tensor, dim: int, index: Tensor, value: float, *, reduce: str) -> Tensor:
    """Scatter of one number that adds or multiplies."""
    src = torch.full(index.shape, value, dtype=x.dtype, device=x.device)
    return scatter_with(x, dim, index, src, reduce=reduce)


def diagonal_scatter(
    x: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """The tensor with another diagonal."""
    places = torch.arange(x.numel(), device=x.device).reshape(x.shape)
    return _with_numbers(x, src, places.diagonal(offset, dim1, dim2))


def as_strided_scatter(
    x: Tensor,
    src: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """The tensor with other numbers in the places that a view of its memory has."""
    if not x.is_contiguous():
        return LEFT
    places = torch.full((), storage_offset or 0, dtype=torch.int64, device=x.device)
    for length, step in zip(size, stride, strict=True):
        places = places.unsqueeze(-1) + torch.arange(length, device=x.device) * step
    return _with_numbers(x, src, places)


def _with_numbers(x: Tensor, src: Tensor, places: Tensor) -> Tensor:
    made = x.reshape(-1).scatter(0, places.reshape(-1), src.reshape(-1).to(x.dtype))
    return made.reshape(x.shape)


def squeeze(x: Tensor, dim: Sequence[int]) -> Tensor:
    """The tensor without those of the named axes that have size one."""
    named = {axis % max(x.dim(), 1) for axis in dim}
    kept = [size for axis, size in enumerate(x.shape) if axis not in named or size != 1]
    return x.view(kept)


def squeeze_one(x: Tensor, dim: int) -> Tensor:
    """The tensor without an axis, if it has size one."""
    return squeeze(x, [dim])


def pad(
    x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Copies of the edges where an axis also loses some; nothing around nothing."""
    if mode == "constant":
        return LEFT
    if 0 in x.shape:
        return torch.constant_pad_nd(x, pad)
    if mode != "replicate" or min(pad) >= 0:
        return LEFT
    for index in range(len(pad) // 2):
        axis, before, after = -1 - index, *pad[2 * index : 2 * index + 2]
        at = torch.arange(-before, x.shape[axis] + after, device=x.device)
        x = x.index_select(axis, at.clamp(0, x.shape[axis] - 1))
    return x


def roll(x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Tensor:
    """The numbers along axes shifted, by what sizes give; by numbers the exporter does it."""
    if all(isinstance(shift, int) for shift in shifts):
        return LEFT
    if not dims:
        return roll(x.reshape(-1), shifts, (0,)).reshape(x.shape)
    for shift, axis in zip(shifts, dims, strict=True):
        at = torch.arange(x.shape[axis], device=x.device) - shift
        x = x.index_select(axis, at % torch.full((), x.shape[axis], device=x.device))
    return x


def copy(x: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """Numbers written over all of another tensor, which may have more of them."""
    if source.shape == x.shape:
        return LEFT
    return source.to(x.dtype).expand(x.shape)


TABLE = {
    "as_strided_scatter.default": as_strided_scatter,
    "copy.default": copy,
    "diagonal_scatter.default": diagonal_scatter,
    "index_reduce.default": index_reduce,
    "pad.default": pad,
    "put.default": put,
    "scatter.reduce": scatter_with,
    "scatter.src": scatter,
    "scatter.value": scatter_number,
    "scatter.value_reduce": scatter_number_with,
    "scatter_add.default": scatter_add,
    "roll.default": roll,
    "scatter_reduce.two": scatter_mean,
    "squeeze.dim": squeeze_one,
    "squeeze.dims": squeeze,
}

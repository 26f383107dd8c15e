"""Pooling with windows that the exporter does not know."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true

from sardonyx.frontends.torch.decompositions.left import LEFT

POOLS = {2: torch.nn.functional.avg_pool2d, 3: torch.nn.functional.avg_pool3d}


def average_pool(  # noqa: PLR0917 (the operator's schema)
    axes: int,
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The sum of each window, of so many axes, over a divisor that is given."""
    if divisor_override is None:
        return LEFT
    kernel, step, pad = (_each(sizes, axes) for sizes in (kernel_size, stride, padding))
    step = step or kernel
    padded: list[int] = []
    for axis in reversed(range(axes)):
        size = x.shape[axis - axes]
        padded += [pad[axis], _last_pad(size, kernel[axis], step[axis], pad[axis], ceil_mode)]
    made: Tensor = POOLS[axes](torch.nn.functional.pad(x, padded), kernel, step)
    return made * (math.prod(kernel) / divisor_override)


def _each(sizes: Sequence[int], axes: int) -> list[int]:
    return [*sizes] * (axes if len(sizes) == 1 else 1)


def _last_pad(size: int, kernel: int, step: int, pad: int, ceil_mode: bool) -> int:
    """Zeros behind an axis so that its windows fill it exactly."""
    if not ceil_mode:
        return pad
    windows = -(-(size + 2 * pad - kernel) // step) + 1
    if (windows - 1) * step >= size + pad:  # the last one would begin behind the numbers
        windows -= 1
    return max((windows - 1) * step + kernel - size - pad, 0)


def adaptive_average(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """The mean of windows that share out each axis; an axis at a time, since they are boxes."""
    for axis, count in zip(range(-len(output_size), 0), output_size, strict=True):
        if statically_known_true(count == x.shape[axis]):
            continue
        if isinstance(count, int):
            parts = [x.narrow(axis, start, end - start) for start, end in _windows(x, axis, count)]
            x = torch.cat([part.mean(axis, keepdim=True) for part in parts], axis)
        else:
            x = _averages_of_many(x, axis, count)
    return x


def _averages_of_many(x: Tensor, axis: int, count: int) -> Tensor:
    """The mean of each window of an axis, where the trace does not know how many there are."""
    size, index = x.shape[axis], torch.arange(count, device=x.device).unsqueeze(-1)
    starts, ends = index * size // count, ((index + 1) * size + count - 1) // count
    places = starts + torch.arange(size // count + 2, device=x.device)
    rows = x.movedim(axis, -1)
    taken = rows.index_select(-1, places.clamp(max=size - 1).reshape(-1))
    numbers = taken.reshape(*rows.shape[:-1], *places.shape)
    sums = torch.where(places < ends, numbers, 0).sum(-1)
    return (sums / (ends - starts).squeeze(-1)).movedim(-1, axis)


def adaptive_average_of_images(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """The same where a size is symbolic; PyTorch's own decomposition takes the traced one."""
    sizes = (*x.shape[-len(output_size) :], *output_size)
    is_known = all(isinstance(size, int) for size in sizes)
    return LEFT if is_known else adaptive_average(x, output_size)


def adaptive_max(x: Tensor, output_size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest number of windows that share out each axis, and its place among all axes."""
    values, places, step = x, None, 1
    for axis, count in zip(
        range(-1, -len(output_size) - 1, -1), reversed(output_size), strict=True
    ):
        values, at = _largest(values, axis, count)
        inner = 0 if places is None else places.gather(axis, at)
        places, step = at * step + inner, step * x.shape[axis]
    assert places is not None
    return values, places


def _largest(x: Tensor, axis: int, count: int) -> tuple[Tensor, Tensor]:
    """The largest number of each window of an axis, and its place on it."""
    rows = []
    for start, end in _windows(x, axis, count):
        found, at = x.narrow(axis, start, end - start).max(axis, keepdim=True)
        rows.append((found, at + start))
    values, places = (torch.cat([row[part] for row in rows], axis) for part in (0, 1))
    return values, places


def _windows(x: Tensor, axis: int, count: int) -> list[tuple[int, int]]:
    size = x.shape[axis]
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


TABLE = {
    "_adaptive_avg_pool2d.default": adaptive_average_of_images,
    "_adaptive_avg_pool3d.default": adaptive_average,
    "adaptive_max_pool2d.default": adaptive_max,
    "adaptive_max_pool3d.default": adaptive_max,
    "avg_pool2d.default": functools.partial(average_pool, 2),
    "avg_pool3d.default": functools.partial(average_pool, 3),
}

"""Pooling with windows that the exporter does not know."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

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
        parts = [x.narrow(axis, start, end - start) for start, end in _windows(x, axis, count)]
        x = torch.cat([part.mean(axis, keepdim=True) for part in parts], axis)
    return x


def adaptive_max(x: Tensor, output_size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest number of windows that share out each axis, and its place among all axes."""
    values, places, step = x, None, 1
    for axis, count in zip(
        range(-1, -len(output_size) - 1, -1), reversed(output_size), strict=True
    ):
        size, rows = x.shape[axis], []
        for start, end in _windows(values, axis, count):
            found, at = values.narrow(axis, start, end - start).max(axis, keepdim=True)
            inner = (
                places.narrow(axis, start, end - start).gather(axis, at)
                if places is not None
                else 0
            )
            rows.append((found, (at + start) * step + inner))
        values, places = (torch.cat([row[part] for row in rows], axis) for part in (0, 1))
        step *= size
    assert places is not None
    return values, places


def _windows(x: Tensor, axis: int, count: int) -> list[tuple[int, int]]:
    size = x.shape[axis]
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


TABLE = {
    "_adaptive_avg_pool3d.default": adaptive_average,
    "adaptive_max_pool2d.default": adaptive_max,
    "adaptive_max_pool3d.default": adaptive_max,
    "avg_pool2d.default": functools.partial(average_pool, 2),
    "avg_pool3d.default": functools.partial(average_pool, 3),
}

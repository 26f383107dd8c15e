"""Pooling to an image of a given size, whatever the size of the one that comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sardonyx.frontends.dsl.elementwise import max_, mean
from sardonyx.frontends.dsl.joining import concat
from sardonyx.frontends.dsl.windows import (
    Window,
    avg_pool,
    each,
    global_avg_pool,
    global_max_pool,
    max_pool,
    spatial_axes,
)

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def adaptive_avg_pool(x: Tensor, size: Window) -> Tensor:
    """Return the means of as many windows as the result has elements: an image of `size`.

    Window i of n spans an axis of length L from floor(i * L / n) to ceil((i + 1) * L / n), as in
    PyTorch: windows overlap where n does not divide L.

    Args:
        x: [batch, channels, *image]; the image's sizes may be symbolic.
        size: Size of the result's image: one number, or one for each axis.

    Raises:
        DslError: x is no image, or there is not one size for each of its axes.
    """
    spatial_axes(x, "adaptive_avg_pool")
    return _pool(x, each(x, size, "size"), global_avg_pool, avg_pool, mean)


def adaptive_max_pool(x: Tensor, size: Window) -> Tensor:
    """Return the largest elements of the windows of `adaptive_avg_pool`: an image of `size`.

    Raises:
        DslError: x is no image, or there is not one size for each of its axes.
    """
    spatial_axes(x, "adaptive_max_pool")
    return _pool(x, each(x, size, "size"), global_max_pool, max_pool, max_)


def _pool(
    x: Tensor,
    counts: list[int],
    whole: Callable[[Tensor], Tensor],
    equal: Callable[[Tensor, list[int]], Tensor],
    reduce: Callable[..., Tensor],
) -> Tensor:
    if set(counts) == {1}:
        return whole(x)
    parts = list(zip(x.shape[2:], counts, strict=True))
    fixed = [(n, count) for n, count in parts if isinstance(n, int) and n % count == 0]
    if len(fixed) == len(parts):
        return equal(x, [n // count for n, count in fixed])
    # The windows are boxes: one axis after the other gives the same.
    for axis, (length, count) in enumerate(parts, start=2):
        before = (slice(None),) * axis
        cuts = [
            slice(i * length // count, ((i + 1) * length + count - 1) // count)
            for i in range(count)
        ]
        windows = [reduce(x[(*before, cut)], axis, keepdims=True) for cut in cuts]
        x = concat(windows, axis)
    return x

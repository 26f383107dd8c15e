"""Resized images where ``Resize`` of ONNX gives other numbers than PyTorch.

To the nearest number PyTorch multiplies places by a ratio, rounded to single precision, where ONNX
Runtime divides them by the inverse: at ties they go to different numbers. With antialiasing PyTorch
believes the scale it is given, not that of the sizes, and knows aligned corners otherwise.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true

from sardonyx.frontends.torch.decompositions.left import LEFT

Scales = Sequence[float | None]
SINGLE = torch.float32


def nearest(is_exact: bool, x: Tensor, output_size: Sequence[int], *scales: float | None) -> Tensor:
    """The nearest numbers; ``is_exact`` takes places for the middles of pixels."""
    counts, given = [*output_size], _each(scales, len(output_size))
    sizes = x.shape[-len(counts) :]
    if not is_exact and all(map(_is_resize, sizes, counts, given)):
        return LEFT
    for axis, count, scale in zip(range(-len(counts), 0), counts, given, strict=True):
        if scale is None and statically_known_true(count == x.shape[axis]):
            continue
        places = torch.arange(count, device=x.device)
        ratio = _ratio(x, x.shape[axis], count, scale)
        if is_exact:
            middles = (places + 0.5).to(torch.float64) * ratio.to(torch.float64)
            at = middles.to(SINGLE)
        else:
            at = places.to(SINGLE) * ratio
        last = x.shape[axis] - 1
        x = x.index_select(axis, at.floor().to(torch.int64).clamp(max=last))
    return x


def antialiased(
    kernel: Callable[[Tensor], Tensor],
    reach: int,
    x: Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    *scales: float | None,
) -> Tensor:
    """The means of numbers around each place, weighted by a kernel that shrinking makes wider."""
    given = _each(scales, 2)
    if not align_corners and given == [None, None]:
        return LEFT
    weights = []
    for axis in (0, 1):
        size, count = x.shape[axis - 2], output_size[axis]
        ratio = _ratio(x, size, count, given[axis], align_corners=align_corners)
        # An axis that keeps its size is left alone, whatever the scale.
        ratio = torch.where(torch.full((), size) == torch.full((), count), 1, ratio)
        wide = ratio.clamp(min=1)
        middles = (torch.arange(count, device=x.device).unsqueeze(-1) + 0.5) * ratio
        first, last = (
            (middles + side * wide * reach + 0.5).to(torch.int64).clamp(min=0) for side in (-1, 1)
        )
        at = torch.arange(size, device=x.device)
        found = kernel((at - middles + 0.5) / wide)
        inside = torch.where((at >= first) & (at < last), found, 0)
        weights.append((inside / inside.sum(-1, keepdim=True)).to(x.dtype))
    return weights[0] @ (x @ weights[1].mT)


def of_factors(resize: Callable[..., Tensor], x: Tensor, *rest: Any) -> Tensor:
    """The same, called with a size or with factors: ``output_size, [align_corners,] factors``."""
    output_size, *between, factors = rest
    if output_size is None:
        sizes = x.shape[-len(factors) :]
        to_int: Callable[[Any], int] = torch.sym_int
        output_size = [to_int(n * f) for n, f in zip(sizes, factors, strict=True)]
    return resize(x, output_size, *between, *(factors or ()))


def linear(distance: Tensor) -> Tensor:
    """The kernel of linear interpolation."""
    return (1 - distance.abs()).clamp(min=0)


def cubic(distance: Tensor) -> Tensor:
    """Keys' kernel of cubic interpolation, with -0.5."""
    x = distance.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((x - 5) * x + 8) * x - 4
    return torch.where(x < 1, near, torch.where(x < 2, far * -0.5, 0))


def _each(scales: Scales, count: int) -> list[float | None]:
    return [*scales] or [None] * count


def _ratio(
    x: Tensor, size: int, count: int, scale: float | None, *, align_corners: bool = False
) -> Tensor:
    """How far apart the places are that the results are taken from."""
    dtype = x.dtype if x.dtype == torch.float64 and align_corners else SINGLE
    number = functools.partial(torch.full, (), dtype=dtype, device=x.device)
    if align_corners:
        return torch.where(number(count) > 1, number(size - 1) / number(count - 1).clamp(min=1), 0)
    return number(size) / number(count) if scale is None else number(1 / scale)


def _is_resize(size: int, count: int, scale: float | None) -> bool:
    """Whether ``Resize`` is known to go to the same numbers as PyTorch."""
    if scale is not None and _is_exact(scale):
        return True
    if not isinstance(size, int) or not isinstance(count, int):
        return bool(statically_known_true(count == size)) and scale is None
    ratio = size / count if scale is None else 1 / scale
    inverse = count / size if scale is None else scale
    return all(
        min(int(_single(i * _single(ratio))), size - 1)
        == min(int(_single(i / _single(inverse))), size - 1)
        for i in range(count)
    )


def _is_exact(scale: float) -> bool:
    """Whether places are right for all sizes: rounding the ratio does not take it below."""
    inverse = _single(1 / scale)
    return (float(scale).is_integer() and inverse * scale >= 1) or inverse * _single(scale) == 1


def _single(number: float) -> float:
    return ctypes.c_float(number).value


_NEAREST, _EXACT = (functools.partial(nearest, is_exact) for is_exact in (False, True))
_LINEAR = functools.partial(antialiased, linear, 1)
_CUBIC = functools.partial(antialiased, cubic, 2)

_RESIZES = {
    **{f"upsample_nearest{n}d": _NEAREST for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": _EXACT for n in (1, 2, 3)},
    "_upsample_bilinear2d_aa": _LINEAR,
    "_upsample_bicubic2d_aa": _CUBIC,
}

TABLE = {
    **{f"{name}.default": resize for name, resize in _RESIZES.items()},
    **{f"{name}.vec": functools.partial(of_factors, made) for name, made in _RESIZES.items()},
}

"""Reductions, and scans along an axis."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT


def largest(x: Tensor, dim: list[int] | None = None, keepdim: bool = False) -> Tensor:
    """Amax over all axes, which the exporter wants named."""
    if dim:
        return LEFT
    return torch.amax(x, _all_axes(x), keepdim) if x.dim() else x.clone()


def smallest(x: Tensor, dim: list[int] | None = None, keepdim: bool = False) -> Tensor:
    """Amin over all axes, which the exporter wants named."""
    if dim:
        return LEFT
    return torch.amin(x, _all_axes(x), keepdim) if x.dim() else x.clone()


def _all_axes(x: Tensor) -> list[int]:
    return list(range(x.dim()))


def cumulative_product(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """The products of all numbers up to each, in log2 steps along a static axis."""
    whole = torch.int64 if not (x.is_floating_point() or x.is_complex()) else x.dtype
    x = x.to(dtype or whole)
    if x.dim() == 0:
        return x.clone()
    step, length = 1, x.shape[dim]
    if not isinstance(length, int):
        rows = x.movedim(dim, -1)
        factors = torch.where(_up_to_each(rows), rows.unsqueeze(-2), 1)
        return factors.prod(-1).to(x.dtype).movedim(-1, dim)
    while step < length:
        later = x.narrow(dim, step, length - step) * x.narrow(dim, 0, length - step)
        x = torch.cat([x.narrow(dim, 0, step), later], dim)
        step *= 2
    return x


def cumulative_largest(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Cummax: the largest number up to each, and where its last one is."""
    return _cumulative(x, dim, torch.ge, torch.amax)


def cumulative_smallest(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Cummin: the smallest number up to each, and where its last one is."""
    return _cumulative(x, dim, torch.le, torch.amin)


def _cumulative(
    x: Tensor, dim: int, beats: Callable[..., Tensor], best: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    length = x.shape[dim]
    if not isinstance(length, int):
        return _of_all_pairs(x, dim, best)
    sizes = [1] * x.dim()
    sizes[dim] = length
    at = torch.arange(length, device=x.device).reshape(sizes).expand(x.shape)
    step = 1
    while step < length:
        rest = length - step
        before, now = x.narrow(dim, 0, rest), x.narrow(dim, step, rest)
        is_now = beats(now, before)
        if x.is_floating_point():
            is_now = is_now | torch.isnan(now)
        later = torch.where(is_now, now, before)
        later_at = torch.where(is_now, at.narrow(dim, step, rest), at.narrow(dim, 0, rest))
        x = torch.cat([x.narrow(dim, 0, step), later], dim)
        at = torch.cat([at.narrow(dim, 0, step), later_at], dim)
        step *= 2
    return x.clone() if length <= 1 else x, at.clone() if length <= 1 else at


def _up_to_each(rows: Tensor) -> Tensor:
    """Whether the number of a column is not after that of a row, for each pair in the last axis."""
    at = torch.arange(rows.shape[-1], device=rows.device)
    return at <= at.unsqueeze(-1)


def _of_all_pairs(x: Tensor, dim: int, best: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    """The same along an axis of dynamic length: steps of doubling would be as many as traced."""
    rows = x.movedim(dim, -1)
    is_before = _up_to_each(rows)
    # A row's own number stands in for what comes after it.
    numbers = torch.where(is_before, rows.unsqueeze(-2), rows.unsqueeze(-1))
    values = best(numbers, -1)
    if x.is_floating_point():
        values = torch.where(torch.isnan(numbers).any(-1), torch.nan, values)
    is_best = numbers == values.unsqueeze(-1)
    if x.is_floating_point():
        is_best = is_best | torch.isnan(numbers)
    at = torch.arange(rows.shape[-1], device=x.device)
    places = torch.where(is_best & is_before, at, -1).amax(-1)
    return values.movedim(-1, dim), places.movedim(-1, dim)


TABLE = {
    "amax.default": largest,
    "amin.default": smallest,
    "cummax.default": cumulative_largest,
    "cummin.default": cumulative_smallest,
    "cumprod.default": cumulative_product,
}

"""Operators that sort."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def kth_smallest(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Kthvalue: the k-th smallest number of each row, and where it is."""
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    values, at = torch.sort(x, dim)
    return _picked(values, at, dim, k - 1, keepdim)


def _picked(
    values: Tensor, at: Tensor, dim: int, index: int, keepdim: bool
) -> tuple[Tensor, Tensor]:
    if keepdim:
        return values.narrow(dim, index, 1), at.narrow(dim, index, 1)
    return values.select(dim, index), at.select(dim, index)


def median(x: Tensor) -> Tensor:
    """The lower of the two middle numbers; NaN if any is."""
    values = torch.sort(x.reshape(-1)).values
    middle = values[(values.shape[0] - 1) // 2]
    if not x.is_floating_point():
        return middle
    return torch.where(torch.isnan(x).any(), float("nan"), middle)


def nan_median(x: Tensor) -> Tensor:
    """The lower of the two middle numbers among those that are not NaN; NaN if all are."""
    if not x.is_floating_point():
        return median(x)
    flat = x.reshape(-1)
    is_nan = torch.isnan(flat)
    values = torch.sort(torch.where(is_nan, float("inf"), flat)).values
    count = (~is_nan).sum()
    middle = values.gather(0, ((count - 1).clamp(min=0) // 2).reshape(1))
    return torch.where(count > 0, middle, float("nan")).reshape(())


def median_of_rows(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The lower of the two middle numbers of each row, and where it is; NaN if any is."""
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    values, at = torch.sort(x, dim)
    found, where = _picked(values, at, dim, (x.shape[dim] - 1) // 2, keepdim)
    if not x.is_floating_point():
        return found, where
    is_nan = torch.isnan(x)
    has_nan = is_nan.any(dim, keepdim)
    first = is_nan.to(torch.int32).argmax(dim, keepdim)
    return torch.where(has_nan, float("nan"), found), torch.where(has_nan, first, where)


def most_frequent(x: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Mode: the number that a row has most often, the smallest of these, and its last place."""
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    values = torch.sort(x, dim).values.movedim(dim, -1)
    counts = (values.unsqueeze(-1) == values.unsqueeze(-2)).sum(-1)
    found = values.gather(-1, counts.argmax(-1, keepdim=True))
    rows = x.movedim(dim, -1)
    order = torch.arange(1, rows.shape[-1] + 1, device=x.device)
    where = ((rows == found).to(torch.int64) * order).argmax(-1, keepdim=True)
    found, where = found.movedim(-1, dim), where.movedim(-1, dim)
    return (found, where) if keepdim else (found.squeeze(dim), where.squeeze(dim))


def place_of(
    sorted_sequence: Tensor,
    x: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Searchsorted: how many numbers of a row come before each of x; compares all with all."""
    if sorter is not None:
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    to_the_right = right or side == "right"
    row, wanted = sorted_sequence.unsqueeze(-2), x.unsqueeze(-1)
    is_before = row <= wanted if to_the_right else row < wanted
    counts = is_before.sum(-1).to(torch.int32 if out_int32 else torch.int64)
    return counts.reshape(()) if x.dim() == 0 else counts


def place_of_number(sorted_sequence: Tensor, x: float, **options: Any) -> Tensor:
    """Searchsorted for one number."""
    return place_of(sorted_sequence, torch.full((), x, device=sorted_sequence.device), **options)


def bucket_of(
    x: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Bucketize: how many boundaries come before each number."""
    return place_of(boundaries, x, out_int32=out_int32, right=right)


def sorted_stably(
    x: Tensor, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """Sort with equal numbers in their order, which `TopK`, that sorts become, gives by itself."""
    return torch.sort(x, dim, descending)


TABLE = {
    "bucketize.Tensor": bucket_of,
    "kthvalue.default": kth_smallest,
    "median.default": median,
    "median.dim": median_of_rows,
    "mode.default": most_frequent,
    "nanmedian.default": nan_median,
    "searchsorted.Scalar": place_of_number,
    "searchsorted.Tensor": place_of,
    "sort.stable": sorted_stably,
}

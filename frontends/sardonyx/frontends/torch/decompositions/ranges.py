"""Rows of numbers that are known when a model is traced.

PyTorch computes how many there are, and each of them, in double precision; the operators of ONNX
that the exporter would write compute in that of the result, and may give one number more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT

Number = float | int


def arange(end: Number, **kwargs: Any) -> Tensor:
    """Arange from zero by one."""
    return arange_by_step(0, end, 1, **kwargs)


def arange_from(start: Number, end: Number, **kwargs: Any) -> Tensor:
    """Arange by one."""
    return arange_by_step(start, end, 1, **kwargs)


def arange_by_step(
    start: Number, end: Number, step: Number = 1, *, dtype: torch.dtype | None = None, **kwargs: Any
) -> Tensor:
    """Arange of floating-point numbers."""
    given = (start, end, step)
    if not _are_known(*given) or all(isinstance(number, int) for number in given):
        return LEFT
    numbers = _evenly(start, step, math.ceil((end - start) / step), kwargs.get("device"))
    return numbers.to(dtype or torch.get_default_dtype())


def linspace(
    start: Number, end: Number, steps: int, *, dtype: torch.dtype | None = None, **kwargs: Any
) -> Tensor:
    """Linspace in double precision: from both ends to the middle, as PyTorch computes it."""
    if dtype is not torch.float64 or not _are_known(start, end, steps):
        return LEFT
    step = (end - start) / max(steps - 1, 1)
    places = torch.arange(steps, device=kwargs.get("device"))
    upper = (places - (steps - 1)).to(torch.float64) * step + end
    lower = places.to(torch.float64) * step + start
    return torch.where(places < (steps + 1) // 2, lower, upper)


def logspace(
    start: Number,
    end: Number,
    steps: int,
    base: float = 10.0,
    *,
    dtype: torch.dtype | None = None,
    **kwargs: Any,
) -> Tensor:
    """Logspace: powers of a base whose exponents lie evenly between two numbers."""
    if not _are_known(start, end, steps, base):
        return LEFT
    dtype = dtype or torch.get_default_dtype()
    # PyTorch rounds the two ends.
    start, end = (n if dtype is torch.float64 else float(np.float32(n)) for n in (start, end))
    powers = _evenly(start, (end - start) / max(steps - 1, 1), steps, kwargs.get("device"))
    bases = torch.full_like(powers, base)
    return torch.pow(bases, powers).to(dtype)


def _evenly(start: Number, step: Number, count: int, device: Any) -> Tensor:
    return torch.arange(count, device=device).to(torch.float64) * step + start


def _are_known(*numbers: object) -> bool:
    return all(isinstance(number, float | int) for number in numbers)


TABLE = {
    "arange.default": arange,
    "arange.start": arange_from,
    "arange.start_step": arange_by_step,
    "linspace.default": linspace,
    "logspace.default": logspace,
}

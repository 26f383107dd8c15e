"""Numbers of Python beside tensors in double precision.

The exporter writes a number of Python in single precision where it does not know better, and casts
it then. As a tensor of one number (`scalar_tensor`) it keeps all its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT

Number = float | int


def is_rounded(number: object, dtype: torch.dtype | None) -> bool:
    """Whether a number is one that single precision lacks, and the result is in double."""
    if dtype is not torch.float64 or not isinstance(number, float):
        return False
    return float(np.float32(number)) != number


def full(
    size: Sequence[int],
    fill_value: Number,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    **_: Any,
) -> Tensor:
    """Full, of one number."""
    if not is_rounded(fill_value, dtype):
        return LEFT
    made: Tensor = torch.ops.aten.scalar_tensor.default(fill_value, dtype=dtype, device=device)
    return made.expand(size)


def full_like(
    x: Tensor, fill_value: Number, *, dtype: torch.dtype | None = None, **_: Any
) -> Tensor:
    """Full, of the shape of a tensor, and of its dtype if none is given."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=x.device)


def new_full(
    x: Tensor,
    size: Sequence[int],
    fill_value: Number,
    *,
    dtype: torch.dtype | None = None,
    **_: Any,
) -> Tensor:
    """Full, of the dtype of a tensor if none is given."""
    return full(size, fill_value, dtype=dtype or x.dtype, device=x.device)


def filled(x: Tensor, value: Number) -> Tensor:
    """Fill: the shape and dtype of a tensor, and one number."""
    return full_like(x, value)


def masked_fill(x: Tensor, mask: Tensor, value: Number) -> Tensor:
    """One number where the mask is true."""
    if not is_rounded(value, x.dtype):
        return LEFT
    return torch.where(mask, new_full(x, (), value), x)


def power_of_number(base: Number, exponent: Tensor) -> Tensor:
    """A number to the power of each."""
    if not is_rounded(base, exponent.dtype):
        return LEFT
    return torch.pow(new_full(exponent, (), base), exponent)


def between(x: Tensor, min_val: Number = -1, max_val: Number = 1) -> Tensor:
    """Hardtanh."""
    if not (is_rounded(min_val, x.dtype) or is_rounded(max_val, x.dtype)):
        return LEFT
    return torch.clamp(x, min_val, max_val)


def add(x: Tensor, other: Tensor, *, alpha: Number = 1) -> Tensor:
    """x + alpha * other."""
    if not is_rounded(alpha, torch.result_type(x, other)):
        return LEFT
    return x + other * alpha


def subtract(x: Tensor, other: Tensor, *, alpha: Number = 1) -> Tensor:
    """x - alpha * other."""
    if not is_rounded(alpha, torch.result_type(x, other)):
        return LEFT
    return x - other * alpha


def add_product(
    x: Tensor, left: Tensor, right: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * x + alpha * left @ right, of matrices or batches of them."""
    if not (is_rounded(beta, x.dtype) or is_rounded(alpha, x.dtype)):
        return LEFT
    product = left @ right * alpha
    return product if beta == 0 else x * beta + product


def add_scaled_product(x: Tensor, left: Tensor, right: Tensor, *, value: Number = 1) -> Tensor:
    """Addcmul: x + value * left * right."""
    if not is_rounded(value, torch.result_type(x, left)):
        return LEFT
    return x + left * right * value


def add_scaled_quotient(x: Tensor, left: Tensor, right: Tensor, *, value: Number = 1) -> Tensor:
    """Addcdiv: x + value * left / right."""
    if not is_rounded(value, torch.result_type(x, left)):
        return LEFT
    return x + left / right * value


TABLE = {
    "add.Tensor": add,
    "addcdiv.default": add_scaled_quotient,
    "addcmul.default": add_scaled_product,
    "addmm.default": add_product,
    "baddbmm.default": add_product,
    "fill.Scalar": filled,
    "full.default": full,
    "full_like.default": full_like,
    "hardtanh.default": between,
    "masked_fill.Scalar": masked_fill,
    "new_full.default": new_full,
    "pow.Scalar": power_of_number,
    "sub.Tensor": subtract,
}

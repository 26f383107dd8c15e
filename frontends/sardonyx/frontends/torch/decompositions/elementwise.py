"""Operators that compute each number from one of each operand."""

from __future__ import annotations

import torch
from torch import Tensor


def is_negative(x: Tensor) -> Tensor:
    """signbit: also of -0.0; a NaN counts as positive."""
    if not x.is_floating_point():
        return x < 0 if x.dtype is not torch.bool else torch.zeros_like(x)
    return (x < 0) | ((x == 0) & (1 / x < 0))


def with_sign_of(x: Tensor, other: Tensor) -> Tensor:
    """Copysign: |x|, negated where ``other`` is negative."""
    dtype = torch.result_type(x, other)
    size = x.to(dtype if dtype.is_floating_point else torch.get_default_dtype()).abs()
    return torch.where(is_negative(other), -size, size)


def with_sign_of_number(x: Tensor, other: float) -> Tensor:
    """Copysign with a number."""
    return with_sign_of(x, torch.full((), float(other), dtype=torch.get_default_dtype()))


def larger_number(x: Tensor, other: Tensor) -> Tensor:
    """Fmax: the one that is a number, where the other is NaN."""
    return _but_not_nan(torch.maximum(x, other), x, other)


def smaller_number(x: Tensor, other: Tensor) -> Tensor:
    """Fmin: the one that is a number, where the other is NaN."""
    return _but_not_nan(torch.minimum(x, other), x, other)


def _but_not_nan(made: Tensor, x: Tensor, other: Tensor) -> Tensor:
    if not made.is_floating_point():
        return made
    x, other = x.to(made.dtype), other.to(made.dtype)
    return torch.where(torch.isnan(x), other, torch.where(torch.isnan(other), x, made))


def hypotenuse(x: Tensor, other: Tensor) -> Tensor:
    """Hypot: sqrt(x² + other²) that overflows only where its result does."""
    x, other = x.abs(), other.abs()
    large, small = torch.maximum(x, other), torch.minimum(x, other)
    ratio = torch.where(large > 0, small / large, 0.0)
    made = large * torch.sqrt(1 + ratio * ratio)
    return torch.where(torch.isinf(large), large, made)


def log_sigmoid(x: Tensor) -> Tensor:
    """The logarithm of the sigmoid, exact to the last digits where the sigmoid is nearly one."""
    return -torch.nn.functional.softplus(-x)


def mantissa_and_exponent(x: Tensor) -> tuple[Tensor, Tensor]:
    """Frexp: x = mantissa * 2**exponent with 0.5 <= |mantissa| < 1."""
    size = x.abs()
    is_plain = (size > 0) & torch.isfinite(x)
    safe = torch.where(is_plain, size, 1.0)
    exponent = torch.floor(torch.log2(safe)) + 1
    # In two steps, since two to the power of the largest exponent is not finite.
    half = torch.floor(exponent / 2)
    mantissa = safe * torch.exp2(-half) * torch.exp2(half - exponent)
    # The logarithm may be one off at a power of two.
    too_large, too_small = mantissa >= 1, mantissa < 0.5
    mantissa = torch.where(too_large, mantissa / 2, torch.where(too_small, mantissa * 2, mantissa))
    exponent = exponent + too_large.to(exponent.dtype) - too_small.to(exponent.dtype)
    signed = torch.where(x < 0, -mantissa, mantissa)
    return torch.where(is_plain, signed, x), torch.where(is_plain, exponent, 0.0).to(torch.int32)


TABLE = {
    "copysign.Tensor": with_sign_of,
    "copysign.Scalar": with_sign_of_number,
    "fmax.default": larger_number,
    "fmin.default": smaller_number,
    "frexp.Tensor": mantissa_and_exponent,
    "hypot.default": hypotenuse,
    "log_sigmoid.default": log_sigmoid,
    "signbit.default": is_negative,
}

"""Special functions, by their recurrences and asymptotic series.

For x >= `_FAR` the series in 1/x (M. Abramowitz and I. Stegun, Handbook of Mathematical Functions,
6.1.40, 6.3.18 and 6.4.11; Euler and Maclaurin's sum) are exact to the last digits of float32;
smaller arguments are raised by the recurrence, negative ones reflected.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# B2, B4, ..., the Bernoulli numbers.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66)
_FAR = 8
_DEPTH = 40


def _reals(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def log_gamma(x: Tensor) -> Tensor:
    """The logarithm of |gamma(x)|."""
    x = _reals(x)
    is_reflected = x < 0.5
    y = torch.where(is_reflected, 1 - x, x)
    product = torch.ones_like(y)
    for step in range(_FAR):
        product = product * torch.where(y < _FAR, y + step, 1.0)
    far = torch.where(y < _FAR, y + _FAR, y)
    series = sum(
        b / (2 * k * (2 * k - 1)) * far ** (1 - 2 * k) for k, b in enumerate(_BERNOULLI, 1)
    )
    stirling = (far - 0.5) * torch.log(far) - far + 0.5 * math.log(2 * math.pi) + series
    made = stirling - torch.log(product)
    sine = torch.sin(math.pi * (x - torch.round(x))).abs()
    reflected = math.log(math.pi) - torch.log(sine) - made
    made = torch.where(is_reflected, reflected, made)
    is_pole = (x <= 0) & (x == torch.floor(x))
    return torch.where(is_pole | torch.isinf(x), math.inf, made)


def digamma(x: Tensor) -> Tensor:
    """The logarithmic derivative of gamma."""
    x = _reals(x)
    is_reflected = x < 0.5
    y = torch.where(is_reflected, 1 - x, x)
    total = torch.zeros_like(y)
    for step in range(_FAR):
        total = total + torch.where(y < _FAR, 1 / (y + step), 0.0)
    far = torch.where(y < _FAR, y + _FAR, y)
    series = sum(b / (2 * k) * far ** (-2 * k) for k, b in enumerate(_BERNOULLI, 1))
    made = torch.log(far) - 0.5 / far - series - total
    # The tangent has period one in this scale.
    part = x - torch.round(x)
    made = torch.where(is_reflected, made - math.pi / torch.tan(math.pi * part), made)
    is_pole = (x < 0) & (x == torch.floor(x))
    made = torch.where(is_pole, math.nan, made)
    return torch.where(x == 0, -math.inf * torch.where(1 / x < 0, -1.0, 1.0), made)


def hurwitz_zeta(s: float, x: Tensor) -> Tensor:
    """The sum of (x + k)**-s over k >= 0, for positive x."""
    total = torch.zeros_like(x)
    for step in range(_FAR):
        total = total + (x + step) ** -s
    far = x + _FAR
    total = total + far ** (1 - s) / (s - 1) + 0.5 * far**-s
    rising, factorial = s, 2.0
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + b * rising / factorial * far ** (1 - s - 2 * k)
        rising *= (s + 2 * k - 1) * (s + 2 * k)
        factorial *= (2 * k + 1) * (2 * k + 2)
    return total


def polygamma(n: int, x: Tensor) -> Tensor:
    """The n-th derivative of digamma; for x <= 0 by that of its reflection (Abramowitz, 6.4.7)."""
    if n == 0:
        return digamma(x)
    x = _reals(x)
    is_reflected = x <= 0
    sign = 1.0 if n % 2 else -1.0
    made = sign * math.factorial(n) * hurwitz_zeta(n + 1.0, torch.where(is_reflected, 1 - x, x))
    # The cotangent has period one in this scale; a cosine near zero is exact as a sine.
    part = x - torch.round(x)
    cotangent = torch.sin(math.pi * (0.5 - part.abs())) / torch.sin(math.pi * part)
    highest, *lower = _derivative_of_cotangent(n)
    derivative = torch.full_like(x, highest)
    for coefficient in lower:
        derivative = derivative * cotangent + coefficient
    return torch.where(is_reflected, -sign * made - math.pi ** (n + 1) * derivative, made)


def _derivative_of_cotangent(n: int) -> list[float]:
    """The n-th derivative of cot(x) as a polynomial in cot(x), the highest power first."""
    made = [0.0, 1.0]
    for _ in range(n):
        slope = [power * coefficient for power, coefficient in enumerate(made)][1:]
        made = [0.0] * (len(slope) + 2)
        for power, coefficient in enumerate(slope):
            made[power] -= coefficient
            made[power + 2] -= coefficient
    return made[::-1]


def scaled_erfc(x: Tensor) -> Tensor:
    """Erfcx: exp(x²) * erfc(x), by Laplace's continued fraction where x is large."""
    x = _reals(x)
    large = x.clamp(min=1.0)
    fraction = large
    for step in range(_DEPTH, 0, -1):
        fraction = large + step / 2 / fraction
    small = x.clamp(max=1.0)
    near = torch.exp(small * small) * (1 - torch.erf(small))
    return torch.where(x < 1, near, 1 / (math.sqrt(math.pi) * fraction))


TABLE = {
    "special_erfcx.default": scaled_erfc,
    "digamma.default": digamma,
    "lgamma.default": log_gamma,
    "polygamma.default": polygamma,
}

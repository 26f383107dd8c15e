"""Initialisers of parameters: each is a function of a random generator and a shape.

A weight's shape is [out, in, *kernel]; its fan in is in * kernel elements, its fan out out *
kernel elements. Glorot: Glorot and Bengio (2010). He: He et al. (2015). Orthogonal: Saxe et al.
(2014). Sparse: Martens (2010).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.dtypes import DType
from sardonyx.frontends.dsl.errors import DslError, user_line

Array = np.ndarray[Any, Any]
Initializer = Callable[[np.random.Generator, Sequence[int]], Array]
"""Takes a seeded generator and a shape; returns the numbers."""

Fan = Literal["in", "out"]
"""What keeps its variance: "in" the activations, "out" the gradients."""

_LEAST_SHARE = 1e-3


def constant(number: float) -> Initializer:
    """Return an initialiser that fills with one number."""
    return lambda _, shape: np.full(shape, number, np.float32)


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """Return an initialiser that draws from [low, high)."""
    return lambda rng, shape: low + (high - low) * rng.random(shape, np.float32)


def normal(deviation: float = 0.02, mean: float = 0.0) -> Initializer:
    """Return an initialiser that draws from a normal distribution."""
    return lambda rng, shape: mean + deviation * rng.standard_normal(shape, np.float32)


def truncated_normal(
    deviation: float = 0.02,
    mean: float = 0.0,
    low: float | None = None,
    high: float | None = None,
) -> Initializer:
    """Return an initialiser that draws from a normal distribution, again where outside of limits.

    Args:
        deviation: Standard deviation of the whole distribution.
        mean: Its mean.
        low: Smallest number; two deviations below the mean by default.
        high: Largest number; two deviations above the mean by default.

    Raises:
        DslError: Nearly nothing of the distribution is within the limits.
    """
    least = mean - 2 * deviation if low is None else low
    most = mean + 2 * deviation if high is None else high
    inside = _share_below((most - mean) / deviation) - _share_below((least - mean) / deviation)
    if inside < _LEAST_SHARE:
        raise DslError(
            "Nearly nothing of this normal distribution is within the limits.",
            found=f"mean {mean}, deviation {deviation}, {least} to {most}",
            expected="limits around the mean",
            remedy="use dsl.init.uniform(low, high)",
        )

    def draw(rng: np.random.Generator, shape: Sequence[int]) -> Array:
        data = normal(deviation, mean)(rng, shape).reshape(-1)
        outside = np.flatnonzero((data < least) | (data > most))
        while outside.size:
            data[outside] = normal(deviation, mean)(rng, outside.shape)
            outside = outside[(data[outside] < least) | (data[outside] > most)]
        return data.reshape(shape)

    return draw


def glorot_uniform(gain: float = 1.0) -> Initializer:
    """Return an initialiser: uniform within gain * sqrt(6 / (fan in + fan out))."""
    return lambda rng, shape: _symmetric(rng, shape, gain * math.sqrt(6 / sum(fans(shape))))


def glorot_normal(gain: float = 1.0) -> Initializer:
    """Return an initialiser: normal, deviation gain * sqrt(2 / (fan in + fan out))."""
    return lambda rng, shape: normal(gain * math.sqrt(2 / sum(fans(shape))))(rng, shape)


def he_uniform(gain: float = math.sqrt(2), fan: Fan = "in") -> Initializer:
    """Return an initialiser: uniform within gain * sqrt(3 / fan), fan in or fan out."""
    side = _side(fan)
    return lambda rng, shape: _symmetric(rng, shape, gain * math.sqrt(3 / fans(shape)[side]))


def he_normal(gain: float = math.sqrt(2), fan: Fan = "in") -> Initializer:
    """Return an initialiser: normal, deviation gain / sqrt(fan), fan in or fan out."""
    side = _side(fan)
    return lambda rng, shape: normal(gain / math.sqrt(fans(shape)[side]))(rng, shape)


def orthogonal(gain: float = 1.0) -> Initializer:
    """Return an initialiser: rows at right angles, or columns where they are fewer, of length gain.

    A weight of more than two axes counts as the matrix [first, all others].
    """
    return _Matrix("orthogonal", lambda n: n >= 2, "two axes or more", partial(_orthogonal, gain))


def sparse(zeros: float, deviation: float = 0.01) -> Initializer:
    """Return an initialiser: normal with mean 0, a share of each column 0.

    Args:
        zeros: The share of the elements of each column that are 0, rounded up.
        deviation: Deviation of the others.

    Raises:
        DslError: The share is not in [0, 1].
    """
    if isinstance(zeros, bool) or not isinstance(zeros, (int, float)) or not 0 <= zeros <= 1:
        raise DslError(
            "The share of zeros is not in [0, 1].",
            found=repr(zeros),
            expected="such as 0.9",
            remedy="90 percent zeros are dsl.init.sparse(0.9)",
        )
    return _Matrix("sparse", lambda n: n == 2, "two axes", partial(_sparse, zeros, deviation))


zeros: Initializer = constant(0.0)
ones: Initializer = constant(1.0)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return fan in and fan out of a weight of this shape, at least 1 each."""
    kernel = math.prod(shape[2:])
    fan_out = shape[0] if shape else 1
    fan_in = shape[1] if len(shape) > 1 else fan_out
    return max(1, fan_in * kernel), max(1, fan_out * kernel)


def lazy(
    initializer: Initializer, name: str, shape: Sequence[int], dtype: DType, seed: int
) -> ir.LazyTensor:
    """Return a tensor that is computed when its numbers are first asked for.

    The generator is seeded by the model's seed and the parameter's name, so that adding a layer
    does not change the others.

    Raises:
        DslError: The initialiser is for weights of another rank.
    """

    if isinstance(initializer, _Matrix):
        initializer.refuse_other_rank(shape)
    where = user_line()

    def compute() -> ir.TensorProtocol:
        digest = hashlib.blake2s(name.encode(), digest_size=8).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest, "little")])
        data = np.asarray(initializer(rng, shape))
        if data.shape != tuple(shape):
            raise DslError(
                f"The initialiser of {name!r} returns another shape.",
                where=where,
                found=f"{list(data.shape)}",
                expected=f"{list(shape)}",
                remedy="an initialiser is a function of a generator and a shape",
            )
        return ir.Tensor(data.astype(dtype.numpy), dtype=dtype.code, name=name)

    return ir.LazyTensor(compute, dtype.code, ir.Shape(shape), cache=True, name=name)


@dataclass(frozen=True)
class _Matrix:
    """An initialiser of weights with so many axes.

    Attributes:
        kind: Its name.
        takes: Whether it takes a weight of so many axes.
        words: The same in words.
        draw: Draws the numbers.
    """

    kind: str
    takes: Callable[[int], bool]
    words: str
    draw: Initializer

    def __call__(self, rng: np.random.Generator, shape: Sequence[int]) -> Array:
        self.refuse_other_rank(shape)
        return self.draw(rng, shape)

    def refuse_other_rank(self, shape: Sequence[int]) -> None:
        """Refuse a weight that is no matrix.

        Raises:
            DslError: It has too few axes, or too many.
        """
        if not self.takes(len(shape)):
            raise DslError(
                f"The initialiser {self.kind} is for matrices.",
                found=f"a parameter of shape {list(shape)}",
                expected=self.words,
                remedy="use another one, such as dsl.init.normal(), or another shape",
            )


def _orthogonal(gain: float, rng: np.random.Generator, shape: Sequence[int]) -> Array:
    rows, columns = shape[0], math.prod(shape[1:])
    many, few = max(rows, columns), min(rows, columns)
    q, r = np.linalg.qr(rng.standard_normal((many, few)))
    # Without the signs of r the result would not be uniform among all such matrices.
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (gain * (q.T if rows < columns else q)).reshape(shape).astype(np.float32)


def _sparse(
    zeros: float, deviation: float, rng: np.random.Generator, shape: Sequence[int]
) -> Array:
    data = normal(deviation)(rng, shape)
    rows, columns = shape
    gone = np.argsort(rng.random((rows, columns)), axis=0)[: math.ceil(zeros * rows)]
    np.put_along_axis(data, gone, 0, axis=0)
    return data


def _side(fan: Fan) -> int:
    if fan not in ("in", "out"):
        raise DslError(
            "There is no such fan.",
            found=repr(fan),
            expected='"in" or "out"',
            remedy='"in" keeps the size of activations, "out" that of gradients',
        )
    return 0 if fan == "in" else 1


def _share_below(deviations: float) -> float:
    return 0.5 * (1 + math.erf(deviations / math.sqrt(2)))


def _symmetric(rng: np.random.Generator, shape: Sequence[int], bound: float) -> Array:
    return uniform(-bound, bound)(rng, shape)

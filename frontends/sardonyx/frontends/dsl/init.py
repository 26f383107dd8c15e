"""Initialisers of parameters: each is a function of a random generator and a shape.

A weight's shape is [out, in, *kernel]; its fan in is in * kernel elements, its fan out out *
kernel elements. Glorot: Glorot and Bengio (2010). He: He et al. (2015).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.dtypes import DType

Array = np.ndarray[Any, Any]
Initializer = Callable[[np.random.Generator, Sequence[int]], Array]
"""Takes a seeded generator and a shape; returns the numbers."""


def constant(number: float) -> Initializer:
    """Return an initialiser that fills with one number."""
    return lambda _, shape: np.full(shape, number, np.float32)


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """Return an initialiser that draws from [low, high)."""
    return lambda rng, shape: low + (high - low) * rng.random(shape, np.float32)


def normal(deviation: float = 0.02, mean: float = 0.0) -> Initializer:
    """Return an initialiser that draws from a normal distribution."""
    return lambda rng, shape: mean + deviation * rng.standard_normal(shape, np.float32)


def glorot_uniform(gain: float = 1.0) -> Initializer:
    """Return an initialiser: uniform within gain * sqrt(6 / (fan in + fan out))."""
    return lambda rng, shape: _symmetric(rng, shape, gain * math.sqrt(6 / sum(fans(shape))))


def glorot_normal(gain: float = 1.0) -> Initializer:
    """Return an initialiser: normal, deviation gain * sqrt(2 / (fan in + fan out))."""
    return lambda rng, shape: normal(gain * math.sqrt(2 / sum(fans(shape))))(rng, shape)


def he_uniform(gain: float = math.sqrt(2)) -> Initializer:
    """Return an initialiser: uniform within gain * sqrt(3 / fan in)."""
    return lambda rng, shape: _symmetric(rng, shape, gain * math.sqrt(3 / fans(shape)[0]))


def he_normal(gain: float = math.sqrt(2)) -> Initializer:
    """Return an initialiser: normal, deviation gain / sqrt(fan in)."""
    return lambda rng, shape: normal(gain / math.sqrt(fans(shape)[0]))(rng, shape)


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
    """

    def compute() -> ir.TensorProtocol:
        digest = hashlib.blake2s(name.encode(), digest_size=8).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest, "little")])
        data = np.asarray(initializer(rng, shape)).astype(dtype.numpy)
        return ir.Tensor(data, dtype=dtype.code, name=name)

    return ir.LazyTensor(compute, dtype.code, ir.Shape(shape), cache=True, name=name)


def _symmetric(rng: np.random.Generator, shape: Sequence[int], bound: float) -> Array:
    return uniform(-bound, bound)(rng, shape)

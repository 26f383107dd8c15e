"""Random dtypes, shapes and elements, the awkward ones among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Array = npt.NDArray[Any]
Random = np.random.Generator
Some = TypeVar("Some")
D = ir.DataType

SYMBOLS = ("b", "s", "n")
"""Names of the dynamic dims of inputs."""

WEIGHTS = {
    D.FLOAT: 50,
    D.INT64: 12,
    D.DOUBLE: 6,
    D.FLOAT16: 6,
    D.INT32: 6,
    D.BOOL: 5,
    D.UINT8: 3,
    D.INT8: 3,
    D.INT16: 1,
    D.UINT16: 1,
    D.UINT32: 1,
    D.UINT64: 1,
    D.STRING: 1,
    D.BFLOAT16: 2,
}
"""How often an input has a dtype."""

FLOATS = frozenset({D.FLOAT, D.DOUBLE, D.FLOAT16, D.BFLOAT16})
WHOLE = frozenset(dtype for dtype in WEIGHTS if dtype.is_integer())
NUMBERS = FLOATS | WHOLE


def pick(random: Random, options: Sequence[Some]) -> Some:
    """One of them."""
    return options[int(random.integers(len(options)))]


def chance(random: Random, probability: float) -> bool:
    """True so often."""
    return bool(random.random() < probability)


def any_dtype(random: Random, among: frozenset[ir.DataType] | None = None) -> ir.DataType:
    """A dtype; the common ones more often."""
    known = [d for d in WEIGHTS if among is None or d in among]
    weights = np.array([WEIGHTS[d] for d in known], float)
    return known[int(random.choice(len(known), p=weights / weights.sum()))]


def any_shape(random: Random, least: int = 0) -> list[int | str]:
    """Dims of an input: symbols, ones, small lengths, seldom zero."""
    rank = max(least, int(random.choice(5, p=[0.08, 0.17, 0.3, 0.3, 0.15])))
    dims: list[int | str] = []
    for _ in range(rank):
        free = [s for s in SYMBOLS if s not in dims or chance(random, 0.2)]
        if free and chance(random, 0.4):
            dims.append(pick(random, free))
        else:
            dims.append(
                int(random.choice([0, 1, 2, 3, 4, 6], p=[0.01, 0.17, 0.22, 0.2, 0.25, 0.15]))
            )
    return dims


def lengths(random: Random) -> list[dict[str, int]]:
    """Lengths of the dynamic dims, for each sample; of the first all are different, above one."""
    first = dict(zip(SYMBOLS, random.permutation([2, 3, 5]).tolist(), strict=True))
    others = [1, 1, 4, 7, 2, 0] if chance(random, 0.15) else [1, 1, 4, 7, 2]
    return [first, {name: int(pick(random, others)) for name in SYMBOLS}]


def elements(random: Random, dtype: ir.DataType, shape: Sequence[int], odd: float = 0.0) -> Array:
    """Random elements; with the probability `odd` some of them are such as break things."""
    size = tuple(shape)
    if dtype == D.BOOL:
        return np.asarray(random.random(size) < 0.5)
    if dtype == D.STRING:
        made = np.empty(size, object)
        made[...] = random.choice(np.array(["", "a", "some text", "é"], object), size)
        return made
    is_float = dtype in FLOATS
    if is_float:
        scale, shift = pick(random, [0.5, 1.0, 1.0, 3.0]), pick(random, [0.0, 0.25, 1.0])
        drawn = random.standard_normal(size) * scale + shift
        if chance(random, 0.2):
            drawn = np.round(drawn)
    else:
        low = 0 if dtype.name.startswith("U") else -4
        drawn = random.integers(low, 6, size)
    held = np.asarray(drawn).astype(dtype.numpy())
    if held.size and chance(random, odd):
        places = random.random(size) < 0.3
        values = np.array(_odd(dtype)).astype(dtype.numpy())
        held = np.where(places, values[random.integers(len(values), size=size)], held)
    return np.asarray(held)


def _odd(dtype: ir.DataType) -> list[Any] | Array:
    if dtype in FLOATS:
        return [np.nan, -0.0, 0.0, np.inf, -np.inf, 1.0, -1.0, 1e-40, 6e4]
    limits = np.iinfo(dtype.numpy())
    return np.array([limits.min, limits.max, 0, 1, limits.max - 1], dtype.numpy())


def constant_like(random: Random, dtype: ir.DataType, shape: Sequence[int]) -> Array:
    """Elements of a constant: zeros, ones and other numbers that rules look for, or any."""
    kind = random.random()
    size = tuple(shape)
    if dtype in NUMBERS and kind < 0.35:
        # What a rule takes for neutral, and what is nearly so.
        value = pick(
            random, [0, 1, 1, 2] if dtype in WHOLE else [0, -0.0, 1, 1, -1, 2, 0.5, 1.0001]
        )
        return np.full(size, value, dtype.numpy())
    return elements(random, dtype, size, odd=0.12)

"""Rows of attention and of what goes with it."""

from __future__ import annotations

import numpy as np

from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.cost import attention, per_element
from sardonyx.compiler.ops.row import define
from sardonyx.compiler.ops.sample import REAL, Case, Random
from sardonyx.compiler.ops.tolerance import Tolerance

_HEADS = Fixed("its layout is batch, heads, sequence, size")


def _attention(random: Random) -> Case:
    batch, heads, size = int(random.integers(1, 3)), 2 * int(random.integers(1, 3)), 4
    query, key = (int(x) for x in random.integers(1, 6, 2))
    groups = int(random.choice([1, 2]))
    mask = REAL(random, (query, key)) if random.random() < 0.5 else None
    operands = (
        REAL(random, (batch, heads, query, size)),
        REAL(random, (batch, heads // groups, key, size)),
        REAL(random, (batch, heads // groups, key, size + 1)),
        mask,
    )
    return Case(operands, {"scale": 0.4} if random.random() < 0.3 else {})


def _rotary(random: Random) -> Case:
    batch, heads, length, size = 2, 3, int(random.integers(1, 5)), 4
    angles = random.uniform(0, 6, (batch, length, size // 2))
    caches = (np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32))
    attributes = {"interleaved": int(random.choice([0, 1]))}
    return Case((REAL(random, (batch, heads, length, size)), *caches), attributes)


define(
    "Attention",
    axes=_HEADS,
    cost=attention,
    tolerance=Tolerance.ACCUMULATING,
    sample=_attention,
)
define(
    "RotaryEmbedding",
    axes=_HEADS,
    cost=per_element(6),
    tolerance=Tolerance.ROUNDING,
    sample=_rotary,
)

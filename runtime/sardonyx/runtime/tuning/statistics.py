"""When a candidate is faster, and when its outputs are the same.

**Faster.** Contenders are timed in turn; each round gives one ratio, baseline over candidate, of
times that lie within the same seconds, so that what slows the machine for a while falls out. The
ratios are neither normal nor symmetric: the interval of their median is that of order statistics,
which assumes independence alone (W. J. Conover, Practical Nonparametric Statistics, 3rd ed., 1999,
section 3.2; recommended for benchmarks by T. Hoefler and R. Belli, Scientific Benchmarking of
Parallel Computing Systems, SC'15). A second process with the baseline's own settings shows how far
equal processes differ, in either direction: a candidate wins if the low end of its interval lies
beyond that.

**The same.** Without an accuracy asked for, outputs may move by rounding only: by ten times what
they move when ONNX Runtime's own optimisations are switched off, or when the last digit of each
input is disturbed, at least by the spacing of numbers at the largest element, and at most by half
of its digits.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..distance import distance, is_float

CONFIDENCE = 0.01
"""Most probability with which either end of an interval is on the wrong side of the median."""

ROUNDING = 10.0
"""How many times its noise an output may move without an accuracy."""

Outputs = Sequence[Sequence[NDArray[Any]]]
"""For each sample, the arrays of the outputs."""


@dataclass(frozen=True)
class Spread:
    """A median, and its interval at :data:`CONFIDENCE` on either side."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    """The median of one or more values; of fewer than seven, from the least to the greatest."""
    ordered = sorted(values)
    rank = _rank(len(ordered))
    return Spread(statistics.median(ordered), ordered[rank], ordered[-1 - rank])


def _rank(count: int) -> int:
    """How many values are below the low end: the most for which the binomial tail is unlikely."""
    below, tail = 0, 0.0
    while below < count // 2:
        tail += math.comb(count, below) / 2**count
        if tail > CONFIDENCE:
            break
        below += 1
    return max(below - 1, 0)


FEWEST = math.ceil(-math.log2(CONFIDENCE))
"""Rounds below which no interval reaches :data:`CONFIDENCE`."""


def is_faster(ratios: Sequence[float], equal: Sequence[float]) -> bool:
    """Whether a candidate wins, by its ratios and those of a process equal to the baseline."""
    if len(ratios) < FEWEST:
        return False
    noise = spread(equal)
    return spread(ratios).low > max(1.0, noise.high, 1 / noise.low)


def deviation(outputs: Outputs, reference: Outputs) -> float:
    """How far outputs are from those of a reference: of the sample where they are farthest."""
    return max(map(distance, outputs, reference), default=0.0)


def spacing(reference: Outputs) -> float:
    """The spacing of numbers at the largest element, as a part of it: of the coarsest output."""
    kinds = [y.dtype for made in reference for y in made if is_float(y.dtype)]
    return max((_epsilon(dtype) for dtype in kinds), default=0.0)


def _epsilon(dtype: np.dtype[Any]) -> float:
    if dtype.kind in "fc":
        return float(np.finfo(dtype).eps)
    import ml_dtypes

    finfo: Any = ml_dtypes.finfo
    return float(finfo(dtype).eps)

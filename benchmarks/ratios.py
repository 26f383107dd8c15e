"""Rounds in which contenders take turns; from their times to ratios with their spread."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Rounds = list[float | None]
Answer = TypeVar("Answer")
Contender = TypeVar("Contender", bound=Hashable)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float


def spread(values: list[float]) -> Spread:
    """Median and quartiles (linear interpolation, as numpy's percentile) of at least one value."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return Spread(float(median), float(low), float(high))


def in_turn(
    contenders: Iterable[Contender],
    rounds: int,
    ask: Callable[[Contender], Answer],
    tell: Callable[[str], None] = lambda said: None,
) -> dict[Contender, list[Answer]]:
    """The answers of each contender, round by round, each round with another one first."""
    order = deque(contenders)
    found: dict[Contender, list[Answer]] = {name: [] for name in order}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for name in order:
            found[name].append(ask(name))
        order.rotate(-1)
    return found


def ratio(baseline: Rounds, contender: Rounds) -> Spread | None:
    """How much faster than the baseline, round by round; None when no round has both.

    Both were measured within the same seconds: what slows the machine for a while falls out.
    """
    pairs = zip(baseline, contender, strict=True)
    ratios = [base / own for base, own in pairs if base is not None and own is not None]
    return spread(ratios) if ratios else None


def geometric_mean(values: list[float]) -> float | None:
    """The n-th root of the product; None for no values."""
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


def relative_error(outputs: list[Any], reference: list[Any]) -> float:
    """Largest |y - reference| over largest |reference|, the worst of all outputs.

    A NaN or infinity in either is inf. Raises ValueError when number or shapes differ.
    """
    if [np.shape(y) for y in outputs] != [np.shape(y) for y in reference]:
        raise ValueError(
            f"output shapes {[np.shape(y) for y in outputs]}, "
            f"expected {[np.shape(y) for y in reference]}"
        )
    worst = 0.0
    for y, expected in zip(outputs, reference, strict=True):
        wide, wanted = np.asarray(y, np.float64), np.asarray(expected, np.float64)
        if not (np.isfinite(wide).all() and np.isfinite(wanted).all()):
            return math.inf
        scale = max(np.abs(wanted).max(initial=0.0), np.finfo(np.float32).tiny)
        worst = max(worst, float(np.abs(wide - wanted).max(initial=0.0) / scale))
    return worst

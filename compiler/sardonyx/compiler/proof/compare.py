"""Whether two runs of a model differ by more than its own noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sardonyx.compiler.ir.constants import Array

MARGIN = 4.0
"""How many times its noise an output may move. A rewrite may round more often than once where the
noise rounds once, and the largest of a few random differences is not the largest there can be."""

_FLOOR = 4.0
"""Units in the last place that an element may move in any case."""

_LEAST = {2: 4 * 2.0**-24, 4: 2.0**-126, 8: 2.0**-1022}
"""How far elements may be apart in any case, by their size in bytes: so near to zero digits are
lost, and sessions take what is smaller for zero (half precision: units in the last place)."""

_ANY = np.asarray(np.inf)
"""What an output may differ by whose shape depends on rounding."""

_MOST_BINS = 64
_LEAST_IN_BIN = 8


@dataclass(frozen=True)
class Difference:
    """How an output differs from what it should be.

    Attributes:
        output: Its name.
        why: What differs, in words.
        ratio: How many times as much as it may; infinite where nothing may differ.
        blind: Why agreement says nothing of what computes it; empty where it does.
    """

    output: str
    why: str
    ratio: float
    blind: str = ""

    def __str__(self) -> str:
        return f"output {self.output!r}: {self.why}"


class Reference:
    """What a model's outputs should be for one sample, and how far each may be from that.

    Args:
        names: Names of the outputs.
        right: What the source gives.
        disturbed: What it gives when its arithmetic is disturbed, once or several times.

    Attributes:
        blind: For each output, why agreement says nothing of what computes it; empty where it does.
    """

    def __init__(
        self, names: Sequence[str], right: Sequence[Array], disturbed: Sequence[Sequence[Array]]
    ) -> None:
        self.names = tuple(names)
        self.right = tuple(right)
        runs = list(zip(*disturbed, strict=True)) if disturbed else [()] * len(names)
        self.allowed = tuple(_allowed(y, others) for y, others in zip(right, runs, strict=True))
        self.blind = tuple(map(_blind, self.right, self.allowed))

    def differences(self, outputs: Sequence[Array]) -> list[Difference]:
        """Return how each output differs; `ratio` above one is more than it may."""
        rows = zip(self.names, self.right, outputs, self.allowed, strict=True)
        found = [_difference(name, right, y, allowed) for name, right, y, allowed in rows]
        return [replace(each, blind=why) for each, why in zip(found, self.blind, strict=True)]


def _allowed(right: Array, others: Sequence[Array]) -> Array:
    """Return how far each element may move; of discrete outputs, how many elements may.

    One or two random differences say little of one element. So it may move as far, times the
    margin, as any of those moved that are about as large as it. Where the very number of elements
    depends on rounding, as after NonZero, nothing can be said, nor of one that rounding may make
    NaN or infinite.
    """
    if any(y.shape != right.shape for y in others):
        return _ANY
    if right.dtype.kind not in "fc":
        return np.asarray(MARGIN * max((np.sum(right != y) for y in others), default=0))
    size = np.abs(np.where(np.isfinite(right), right, 0)).astype(np.float64).reshape(-1)
    moved = np.zeros_like(size)
    for other in others:
        np.maximum(moved, _distance(right, other).reshape(-1), out=moved)
    order = np.argsort(size, kind="stable")
    starts = _starts(size.size)
    noise = np.maximum.reduceat(moved[order], starts) if size.size else moved
    largest = np.maximum.reduceat(size[order], starts) if size.size else size
    around = np.pad(noise, 1)
    noise = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
    per_bin = np.maximum(MARGIN * noise, _FLOOR * float(np.finfo(right.dtype).eps) * largest)
    per_bin = np.maximum(per_bin, _LEAST.get(right.real.dtype.itemsize, 0.0))
    allowed = np.empty_like(size)
    counts = np.diff(np.append(starts, size.size))
    allowed[order] = np.repeat(per_bin, counts)
    for other in others:
        allowed[(np.isfinite(right) & ~np.isfinite(other)).reshape(-1)] = np.inf
    return allowed.reshape(right.shape)


def _starts(elements: int) -> Array:
    """Where bins of elements that are about equally large begin."""
    bins = max(1, min(_MOST_BINS, elements // _LEAST_IN_BIN))
    return np.unique(np.linspace(0, elements, bins, endpoint=False).astype(np.int64))


def _distance(a: Array, b: Array) -> Array:
    """How far the elements are apart that are finite in both; zero for the others."""
    both = np.isfinite(a) & np.isfinite(b)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(both, np.abs(a.astype(np.float64) - b.astype(np.float64)), 0.0)


def _blind(right: Array, allowed: Array) -> str:
    """Say why a wrong model might give the same: nothing is left of what it computes."""
    if allowed is _ANY:
        return "its shape depends on rounding"
    if not right.size:
        return "it has no elements"
    if right.dtype.kind not in "fc":
        if float(allowed) >= right.size:
            return "rounding may change all of it"
        return "it is zero everywhere" if right.size > 1 and not np.any(right) else ""
    if not np.any(np.isfinite(right)):
        return "no element is finite"
    size = np.abs(np.where(np.isfinite(right), right, 0))
    if not size.any():
        return "it is zero everywhere"
    return "rounding explains all of it" if np.all(allowed >= size) else ""


def _difference(name: str, right: Array, found: Array, allowed: Array) -> Difference:
    if allowed is _ANY:
        return Difference(name, "its shape depends on rounding", 0.0)
    if right.shape != found.shape or right.dtype != found.dtype:
        is_now = f"{found.dtype}{list(found.shape)}, was {right.dtype}{list(right.shape)}"
        return Difference(name, f"it is {is_now}", np.inf)
    if right.dtype.kind not in "fc":
        count = float(np.sum(right != found))
        why = f"{count:.0f} of {right.size} elements differ"
        return Difference(name, why, _ratio(count, float(allowed)))
    # What the source makes no number of is nobody's fault, however it comes out.
    made = np.isfinite(right) & ~np.isfinite(found) & np.isfinite(allowed)
    if made.any():
        why = f"{int(made.sum())} of {right.size} elements are NaN or infinite and were not"
        return Difference(name, why, np.inf)
    distance = _distance(right, found).reshape(-1)
    if not distance.any():
        return Difference(name, "it is the same", 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(distance > 0, distance / allowed.reshape(-1), 0.0)
    worst = int(np.argmax(ratios))
    values = f"{float(found.reshape(-1)[worst]):.6g}, was {float(right.reshape(-1)[worst]):.6g}"
    place = ", ".join(map(str, np.unravel_index(worst, right.shape)))
    why = f"element [{place}] is {values}; rounding explains {allowed.reshape(-1)[worst]:.3g}"
    return Difference(name, why, float(ratios[worst]))


def _ratio(found: float, allowed: float) -> float:
    return found / allowed if allowed else (np.inf if found else 0.0)

"""How large a batch pays: learned from the batches that were run, for each shape by itself."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable

REMEMBERED = 7
"""Runs of a size that its pace is the median of."""

NEEDED = 2
"""Runs of a size after which it is known."""

FORGOTTEN = 60.0
"""Seconds after which a run is no evidence any more: machines change their pace."""

GAIN = 1.05
"""A larger batch must do so many times as many rows a second as a smaller one, which waits less."""


class Pace:
    """Seconds per row of batches of 1, 2, 4, ... rows; a batch counts for the power of two above.

    Args:
        largest: Rows of the largest batch.
        clock: Seconds that have passed; tests give another one.
    """

    def __init__(self, largest: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._classes = range(_class_of(largest) + 1)
        self._largest = largest
        self._runs: dict[int, deque[tuple[float, float]]] = {
            size: deque(maxlen=REMEMBERED) for size in self._classes
        }

    def note(self, rows: int, seconds: float) -> None:
        """Take note of one run; infinitely many seconds are those of one that failed."""
        size = min(_class_of(rows), self._classes[-1])
        self._runs[size].append((self._clock(), seconds / rows))

    def per_row(self) -> dict[int, float]:
        """Seconds per row by rows of a batch, for the sizes that have been run; all of them."""
        return {
            min(1 << size, self._largest): self._pace(size)
            for size, runs in self._runs.items()
            if runs
        }

    def choose(self, waiting: int, seconds: float | None = None) -> int:
        """How many of the rows that wait to run now.

        A size that was not run lately is tried, the largest first; when all that fit are known,
        the smallest of those whose pace is about the best.

        Args:
            waiting: Rows that wait, 1 or more.
            seconds: How long the batch may take, by what is known; None for any time.
        """
        waiting = min(waiting, self._largest)
        fits = [size for size in self._classes if waiting > 1 << size >> 1]
        unknown = [size for size in fits if not self._is_known(size)]
        if unknown:
            size = max(unknown)
        else:
            best = min(map(self._pace, fits))
            size = min(size for size in fits if self._pace(size) <= best * GAIN)
        rows = min(waiting, 1 << size)
        if seconds is not None and self._runs[size]:
            rows = max(1, int(min(rows, seconds / self._pace(size))))
        return rows

    def wanted(self) -> int:
        """The batch worth waiting for: the largest until all sizes are known, then the best."""
        return self.choose(self._largest)

    def pays(self) -> bool | None:
        """Whether a batch does more rows a second than a single one; None when it is not known."""
        known = self.per_row()
        if 1 not in known or len(known) < 2:
            return None
        return min(pace for rows, pace in known.items() if rows > 1) * GAIN < known[1]

    def _pace(self, size: int) -> float:
        # A copy: whoever asks for statistics reads while the line's thread takes notes.
        return statistics.median(seconds for _, seconds in tuple(self._runs[size]))

    def _is_known(self, size: int) -> bool:
        since = self._clock() - FORGOTTEN
        return sum(when >= since for when, _ in self._runs[size]) >= NEEDED


def _class_of(rows: int) -> int:
    """0 for one row, 1 for two, 2 for three and four, and so on."""
    return (rows - 1).bit_length()

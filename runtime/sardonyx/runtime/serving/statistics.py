"""What became of the requests: how many, how fast, in batches of which sizes."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

KEPT = 10_000
"""Latencies that percentiles are of: those of the last requests."""


@dataclass(frozen=True)
class Statistics:
    """Figures of a batcher since it was made; ``print`` shows them as a table.

    Attributes:
        requests: Requests that were answered.
        rows: Their rows.
        failed: Requests that ended in an error.
        cancelled: Requests that were cancelled before they ran.
        refused: Requests that found the queue full.
        seconds: From the first request's arrival to the last answer.
        latency_ms: p50, p90, p99 and the largest latency of the last requests, in milliseconds.
        batches: How many batches there were of each number of rows.
        pace_ms: For each shape that was batched, milliseconds per row by rows of a batch; infinity
            for batches that failed though their requests did not.
        advice: What was learned about batching, in words, for each shape.
    """

    requests: int
    rows: int
    failed: int
    cancelled: int
    refused: int
    seconds: float
    latency_ms: Mapping[str, float]
    batches: Mapping[int, int]
    pace_ms: Mapping[str, Mapping[int, float]]
    advice: tuple[str, ...]

    @property
    def throughput(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        latency = ", ".join(f"{name} {ms:.1f} ms" for name, ms in self.latency_ms.items())
        sizes = ", ".join(f"{n} x {rows}" for rows, n in sorted(self.batches.items()))
        lost = f"{self.failed} failed, {self.cancelled} cancelled, {self.refused} refused"
        lines = [
            f"requests    {self.requests} ({self.rows} rows); {lost}",
            f"throughput  {self.throughput:.1f} rows/s",
            f"latency     {latency or 'none yet'}",
            f"batches     {sizes or 'none yet'}  (number x rows)",
        ]
        return "\n".join([*lines, *(f"advice      {line}" for line in self.advice)])


class Tally:
    """Counts while requests are served; many threads may count at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._batches: Counter[int] = Counter()
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._first = self._last = 0.0

    def count(self, what: str, number: int = 1) -> None:
        """Count something that is no answer: ``failed``, ``cancelled``, ``refused``."""
        with self._lock:
            self._counts[what] += number

    def batch(self, rows: int) -> None:
        """Count one batch."""
        with self._lock:
            self._batches[rows] += 1

    def answer(self, rows: int, arrived: float) -> None:
        """Count one answer, now, to a request that arrived at a time of ``time.monotonic``."""
        now = time.monotonic()
        with self._lock:
            self._counts["requests"] += 1
            self._counts["rows"] += rows
            self._latencies.append(now - arrived)
            self._first = min(self._first or arrived, arrived)
            self._last = now

    def read(
        self, pace_ms: Mapping[str, Mapping[int, float]], advice: tuple[str, ...]
    ) -> Statistics:
        """The figures until now."""
        with self._lock:
            found = list(self._latencies)
            counts, batches = dict(self._counts), dict(self._batches)
            seconds = self._last - self._first
        latency = {}
        if found:
            names = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
            values = np.percentile(found, list(names.values())) * 1e3
            latency = dict(zip(names, map(float, values), strict=True))
        names_of_counts = ("requests", "rows", "failed", "cancelled", "refused")
        return Statistics(
            **{name: counts.get(name, 0) for name in names_of_counts},
            seconds=seconds,
            latency_ms=latency,
            batches=batches,
            pace_ms=pace_ms,
            advice=advice,
        )

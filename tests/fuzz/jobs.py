"""What the processes of a run do: judge a graph, or shrink one that failed."""

from __future__ import annotations

import gc
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.fuzz.session import fuzz, shrunk

_MOST_SHRUNK = 40


@dataclass(frozen=True)
class Job:
    """A graph to judge, or one that failed to shrink."""

    seed: int
    number: int
    routes: int
    found: Path
    is_shrinking: bool = False


@dataclass
class Queue:
    """Which job is next: what failed is shrunk, by a few processes while the others go on.

    Attributes:
        graphs: Those to judge.
        most_shrinking: How many processes may shrink at once.
        failed: Those to shrink.
        shrinking: How many are being shrunk.
        taken: How many were ever to be shrunk.
    """

    graphs: deque[Job]
    most_shrinking: int
    failed: deque[Job] = field(default_factory=deque)
    shrinking: int = 0
    taken: int = 0

    def take(self) -> Job | None:
        """The next one, None if there is none yet."""
        if self.failed and self.shrinking < self.most_shrinking:
            self.shrinking += 1
            return self.failed.popleft()
        return self.graphs.popleft() if self.graphs else None

    def fails(self, job: Job) -> None:
        """Have a graph shrunk, unless there were many."""
        if self.taken < _MOST_SHRUNK:
            self.taken += 1
            self.failed.append(replace(job, is_shrinking=True))


def work(job: Job) -> Any:
    """Judge a graph, or say where it was written to, shrunk."""
    gc.set_threshold(50_000, 20, 20)
    if job.is_shrinking:
        return shrunk(job.seed, job.number, job.found, most_routes=job.routes)
    return fuzz(job.seed, [job.number], most_routes=job.routes)

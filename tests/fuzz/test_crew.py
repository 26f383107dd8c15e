"""Jobs are done in processes of their own, and what becomes of these is told."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from typing import Any

from tests.fuzz.crew import Crew, Failure


def _work(job: str) -> Any:
    if job == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "hang":
        time.sleep(60)
    if job == "raise":
        raise ValueError(job)
    return job.upper()


def _results(jobs: list[str], seconds: float, until: float = 60.0) -> list[tuple[str, Any]]:
    queue = deque(jobs)
    with Crew(2, _work, seconds) as crew:
        end = time.monotonic() + until
        take = lambda: queue.popleft() if queue else None  # noqa: E731
        return sorted(crew.results(take, until=end, grace=0.0), key=lambda made: made[0])


def test_a_job_that_dies_hangs_or_raises_is_told_and_the_others_are_done():
    assert _results(["die", "a", "hang", "b", "raise", "c"], seconds=5.0) == [
        ("a", "A"),
        ("b", "B"),
        ("c", "C"),
        ("die", Failure("its process ended: signal SIGSEGV")),
        ("hang", Failure("not done after 5 s")),
        ("raise", Failure("ValueError('raise')")),
    ]


def test_when_time_is_up_no_job_is_begun_and_what_runs_is_given_up():
    assert _results(["hang", "hang", "a"], seconds=60.0, until=3.0) == []

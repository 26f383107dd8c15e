"""Draws graphs, compiles them and compares: `python -m tests.fuzz 10000 --seed 7 --jobs 2`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from tests.fuzz.crew import Crew, Failure
from tests.fuzz.jobs import Job, Queue, work
from tests.fuzz.session import Tally

_LINE_EVERY = 10.0
_MOST_SECONDS = 240.0
"""How long a graph may take; seconds are usual."""
_GRACE = 20.0


def main() -> int:
    """Run; the exit status says whether anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("graphs", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=None, help="by default a fresh one")
    parser.add_argument("--first", type=int, default=0, help="number of the first graph")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--found", type=Path, default=Path("build/fuzz"), help="takes failures")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--routes", type=int, default=3, help="targets and opsets of each graph")
    options = parser.parse_args()
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    print(f"seed {seed}, {options.graphs} graphs", flush=True)
    numbers = range(options.first, options.first + options.graphs)
    graphs = deque(Job(seed, number, options.routes, options.found) for number in numbers)
    total = _run(Queue(graphs, max(1, options.jobs // 4)), options.jobs, options.seconds)
    return 1 if total.faults else 0


def _run(jobs: Queue, size: int, seconds: float) -> Tally:
    started = told = time.monotonic()
    total = Tally()
    with Crew(size, work, _MOST_SECONDS) as crew:
        for job, made in crew.results(jobs.take, until=started + seconds, grace=_GRACE):
            if job.is_shrinking:
                jobs.shrinking -= 1
                print(f"SHRUNK {job.seed}:{job.number} {_why(made)}", flush=True)
                continue
            before = len(total.faults)
            if isinstance(made, Failure):
                total.graphs += 1
                total.faults.append(f"{job.seed}:{job.number} {made.why}")
            else:
                total.add(made)
                if len(total.faults) > before:
                    jobs.fails(job)
            for fault in total.faults[before:]:
                print(f"MISMATCH {fault}", flush=True)
            if time.monotonic() - told > _LINE_EVERY:
                told = time.monotonic()
                print(total.line(told - started), flush=True)
    print(total.report(time.monotonic() - started), flush=True)
    return total


def _why(made: Any) -> str:
    return made.why if isinstance(made, Failure) else str(made)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.exit(main())

"""Draws graphs, compiles them and compares: `python -m tests.fuzz 10000 --seed 7 --jobs 2`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.fuzz.session import Tally, fuzz

_CHUNK = 10
_LINE_EVERY = 10


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
    last = options.first + options.graphs
    chunks = [range(i, min(i + _CHUNK, last)) for i in range(options.first, last, _CHUNK)]
    started = time.perf_counter()
    total = Tally()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        shared = (options.found, (), options.routes)
        jobs = {pool.submit(fuzz, seed, chunk, *shared): chunk for chunk in chunks}
        for number, job in enumerate(as_completed(jobs), 1):
            before = len(total.faults)
            _add(total, job, jobs[job])
            for fault in total.faults[before:]:
                print(f"MISMATCH {fault}", flush=True)
            seconds = time.perf_counter() - started
            if number % _LINE_EVERY == 0:
                print(total.line(seconds), flush=True)
            if seconds > options.seconds:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print(total.report(time.perf_counter() - started))
    return 1 if total.faults else 0


def _add(total: Tally, job: Future[Tally], numbers: range) -> None:
    try:
        total.add(job.result())
    except Exception as error:
        total.faults.append(f"graphs {numbers.start} to {numbers.stop - 1}: {error!r}")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main())

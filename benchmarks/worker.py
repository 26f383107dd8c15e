"""One contender in a process of its own.

Reads commands as lines of JSON and answers each with one line: `prepare`, `load`, `run`, `time`,
`memory`. An exception is an answer too, so one failure never ends a run. Libraries that print do so
into the log: the answers travel on a copy of stdout that they do not know.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP_SECONDS = 0.5
WARM_UP_CALLS = 3


class Worker:
    """Answers the commands for one model and one contender."""

    def __init__(self, setup: dict[str, Any]) -> None:
        from benchmarks.contenders import CONTENDERS, Job

        self.contender = CONTENDERS[setup["contender"]]
        folder = Path(setup["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        self.job = Job(
            name=setup["model"],
            folder=folder,
            source=Path(setup["source"]) if setup["source"] else None,
            threads=setup["threads"],
            device=setup["device"],
            precision=setup["precision"],
        )

    def prepare(self) -> dict[str, Any]:
        """Write the artifact."""
        start = time.perf_counter()
        facts = self.contender.prepare(self.job) if self.contender.prepare else {}
        return {"prepare_s": time.perf_counter() - start, **facts, **self.memory()}

    def load(self, inputs: str) -> dict[str, Any]:
        """Load, run once on the inputs of an .npz file (some contenders compile then), warm up."""
        self.inputs = read(inputs)
        start = time.perf_counter()
        self.runner = self.contender.load(self.job)
        self.native = self.runner.feed(self.inputs)
        self.runner.call(self.native)
        ready = time.perf_counter()
        calls = 0
        while calls < WARM_UP_CALLS or time.perf_counter() - ready < WARM_UP_SECONDS:
            self.runner.call(self.native)
            calls += 1
        return {"load_s": ready - start}

    def run(self, outputs: str, inputs: str | None = None) -> dict[str, Any]:
        """Run on the loaded inputs, or those of an .npz file; write the outputs to another."""
        arrays = read(inputs) if inputs else self.inputs
        results = self.runner.fetch(self.runner.call(self.runner.feed(arrays)))
        np.savez(outputs, *results)
        return {}

    def time(self, seconds: float) -> dict[str, Any]:
        """Median milliseconds of the calls made within about `seconds`, three at least."""
        durations: list[float] = []
        end = time.perf_counter() + seconds
        while len(durations) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            self.runner.call(self.native)
            durations.append(time.perf_counter() - start)
        return {"median_ms": 1000 * statistics.median(durations), "calls": len(durations)}

    def memory(self) -> dict[str, Any]:
        """The largest resident size of this process so far."""
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"peak_rss_mb": round(peak * unit / 2**20)}


def read(path: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, in their order."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def pin(threads: int) -> None:
    """Keep this process on as many cores as it has threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main() -> None:
    """Serve until stdin ends."""
    setup = json.loads(sys.argv[-1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if setup["device"] == "cpu":
        pin(setup["threads"])
    worker: Worker | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            worker = worker or Worker(setup)
            answer = getattr(worker, command.pop("do"))(**command)
        except Exception as error:
            traceback.print_exc()
            kind = type(error).__name__
            answer = {"error": {"kind": kind, "what": f"{kind}: {error}"[:2000]}}
        answers.write(json.dumps(answer) + "\n")

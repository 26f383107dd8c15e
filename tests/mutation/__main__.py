"""Plants defects in rules, one at a time, and counts those that the tests of the rules find.

python -m tests.mutation [-n 300] [--seed 0] [--jobs 2] [WORD ...]

A WORD chooses the files whose path contains it; -n 0 takes every mutant.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from tests.meta.imports import REPOSITORY
from tests.mutation.coverage import tests_of
from tests.mutation.equivalent import equivalents
from tests.mutation.mutants import Mutant
from tests.mutation.run import KILLED, SURVIVED, TIMEOUT, be_silent, fork, preload
from tests.mutation.sample import all_mutants, sample
from tests.mutation.traced import Trace
from tests.mutation.worker import Verdict, judge, trace

GOAL = 0.95
EQUIVALENT = "equivalent"


def judge_all(mutants: Sequence[Mutant], noted: Trace, jobs: int) -> Iterable[Verdict]:
    """Judge mutants, several at a time, and show how far it is."""
    known = equivalents()
    yield from (Verdict(mutant, EQUIVALENT, 0.0) for mutant in mutants if mutant.key in known)
    left = [mutant for mutant in mutants if mutant.key not in known]
    said: SimpleQueue[Verdict] = multiprocessing.get_context("fork").SimpleQueue()

    def work(part: Sequence[Mutant]) -> int:
        be_silent()
        judge(part, noted, said.put)
        return 0

    workers = [fork(lambda part=left[job::jobs]: work(part)) for job in range(jobs)]
    try:
        for count in range(1, len(left) + 1):
            verdict = said.get()
            print(f"\r{count} of {len(left)}", end="", file=sys.stderr, flush=True)
            if verdict.outcome == SURVIVED:
                print(f"\n{where(verdict.mutant)}", file=sys.stderr)
            yield verdict
        print(file=sys.stderr)
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker, signal.SIGKILL)
            os.waitpid(worker, 0)


def where(mutant: Mutant) -> str:
    """The line of a mutant, and the key."""
    return f"{mutant.path.relative_to(REPOSITORY)}:{mutant.line} {mutant.key}"


def report(verdicts: Sequence[Verdict], seed: int) -> str:
    """The counts, by kind, and the survivors."""
    rows = [f"{'kind':22}{'mutants':>8}{'killed':>8}{'timeout':>8}{'equal':>8}{'survived':>9}"]
    for kind in sorted({v.mutant.kind for v in verdicts}):
        rows.append(_row(kind, Counter(v.outcome for v in verdicts if v.mutant.kind == kind)))
    counts = Counter(v.outcome for v in verdicts)
    rows.append(_row("all", counts))
    rows.append(f"seed {seed}: {kill_rate(verdicts):.1%} of those that are defects were found")
    return "\n".join(rows)


def _row(name: str, counts: Counter[str]) -> str:
    cells = (counts[outcome] for outcome in (KILLED, TIMEOUT, EQUIVALENT, SURVIVED))
    killed, timeout, equal, survived = cells
    return f"{name:22}{counts.total():8}{killed:8}{timeout:8}{equal:8}{survived:9}"


def kill_rate(verdicts: Sequence[Verdict]) -> float:
    """Of the mutants that are defects, the share that tests find; a hang is found too."""
    counts = Counter(v.outcome for v in verdicts)
    defects = counts.total() - counts[EQUIVALENT]
    return (counts[KILLED] + counts[TIMEOUT]) / max(defects, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if the goal is reached."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write each verdict to a file")
    given = parser.parse_args(arguments)
    preload()
    files = all_mutants(given.words)
    total = sum(map(len, files))
    chosen = sample(files, given.n or total, given.seed)
    print(f"{len(chosen)} of {total} mutants of {len(files)} files, seed {given.seed}", flush=True)
    began = time.monotonic()
    noted = trace(tests_of({mutant.module for mutant in chosen}))
    if noted.failed:
        print("the tests of the rules fail without any defect", file=sys.stderr)
        return 2
    seconds = time.monotonic() - began
    print(f"{len(noted.tests)} tests pass without a defect, in {seconds:.0f} s", flush=True)
    verdicts = list(judge_all(chosen, noted, given.jobs))
    if given.json:
        rows = [
            {"key": v.mutant.key, "line": v.mutant.line, "outcome": v.outcome, "seconds": v.seconds}
            for v in verdicts
        ]
        given.json.write_text(json.dumps(rows, indent=1))
    for verdict in sorted(verdicts, key=lambda v: v.mutant.key):
        if verdict.outcome == SURVIVED:
            print(where(verdict.mutant))
    print(report(verdicts, given.seed))
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if kill_rate(verdicts) >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

"""Plants defects in rules, one at a time, and counts those that the tests of the rules find.

python -m tests.mutation [-n 300] [--seed 0] [--jobs 2] [--broad] [WORD ...]

A WORD chooses the files whose path contains it; -n 0 takes every mutant.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.coverage import TESTS, stages
from tests.mutation.equivalent import equivalents
from tests.mutation.mutants import RULES, Mutant
from tests.mutation.run import KILLED, SURVIVED, TIMEOUT, preload, run
from tests.mutation.sample import all_mutants, sample

LIMITS = (90.0, 600.0, 1800.0)
"""Seconds for the tests of each stage."""
GOAL = 0.95
EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, after how many stages and seconds."""

    mutant: Mutant
    outcome: str
    stage: int
    seconds: float


def judge(given: tuple[Mutant, bool]) -> Verdict:
    """Run the tests that can see a mutant, until one of them does."""
    mutant, broad = given
    total = 0.0
    found = stages(mutant.module, broad)
    for stage, (tests, limit) in enumerate(zip(found, LIMITS, strict=False)):
        outcome, seconds = run(mutant, tests, limit)
        total += seconds
        if outcome != SURVIVED:
            return Verdict(mutant, outcome, stage, total)
    return Verdict(mutant, SURVIVED, len(found), total)


def judge_all(mutants: Sequence[Mutant], jobs: int, broad: bool) -> Iterable[Verdict]:
    """Judge mutants, several at a time, and show how far it is."""
    known = equivalents()
    for mutant in mutants:
        if mutant.key in known:
            yield Verdict(mutant, EQUIVALENT, 0, 0.0)
    left = [(mutant, broad) for mutant in mutants if mutant.key not in known]
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for count, verdict in enumerate(pool.imap_unordered(judge, left), 1):
            print(f"\r{count} of {len(left)}", end="", file=sys.stderr, flush=True)
            if verdict.outcome == SURVIVED:
                m = verdict.mutant
                print(f"\n{m.path.relative_to(RULES)}:{m.line} {m.key}", file=sys.stderr)
            yield verdict
    print(file=sys.stderr)


def report(verdicts: Sequence[Verdict], seed: int) -> str:
    """The counts, by kind, and the survivors."""
    rows = [f"{'kind':22}{'mutants':>8}{'killed':>8}{'timeout':>8}{'equal':>8}{'survived':>9}"]
    for kind in sorted({v.mutant.kind for v in verdicts}):
        rows.append(_row(kind, Counter(v.outcome for v in verdicts if v.mutant.kind == kind)))
    counts = Counter(v.outcome for v in verdicts)
    rows.append(_row("all", counts))
    rows.append(f"seed {seed}: {kill_rate(verdicts):.1%} of those that are defects were found")
    found_at = Counter(v.stage for v in verdicts if v.outcome == KILLED)
    rows.append(
        f"found by the nearest tests: {found_at[0]}, by others: {counts[KILLED] - found_at[0]}"
    )
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
    parser.add_argument("--broad", action="store_true", help="more tests for those that survive")
    parser.add_argument("--json", type=Path, help="write each verdict to a file")
    given = parser.parse_args(arguments)
    preload()
    files = all_mutants(given.words)
    total = sum(map(len, files))
    chosen = sample(files, given.n or total, given.seed)
    print(f"{len(chosen)} of {total} mutants of {len(files)} files, seed {given.seed}", flush=True)
    outcome, seconds = run(None, [str(TESTS)], 3600)
    if outcome != SURVIVED:
        print("the tests of the rules fail without any defect", file=sys.stderr)
        return 2
    print(f"the tests of the rules pass without a defect, in {seconds:.0f} s", flush=True)
    began = time.monotonic()
    verdicts = list(judge_all(chosen, given.jobs, given.broad))
    if given.json:
        rows = [{"key": v.mutant.key, "line": v.mutant.line, **_said(v)} for v in verdicts]
        given.json.write_text(json.dumps(rows, indent=1))
    for verdict in sorted(verdicts, key=lambda v: v.mutant.key):
        if verdict.outcome == SURVIVED:
            print(f"{verdict.mutant.line}: {verdict.mutant.key}")
    print(report(verdicts, given.seed))
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if kill_rate(verdicts) >= GOAL else 1


def _said(verdict: Verdict) -> dict[str, object]:
    return {"outcome": verdict.outcome, "stage": verdict.stage, "seconds": verdict.seconds}


if __name__ == "__main__":
    sys.exit(main())

"""Runs cases through Sardonyx and says of each what became of it.

A native crash takes only this process down: the suite starts it as a child, and starts another
one behind the case that was running.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.opinfo import answers
from tests.opinfo.cases import Case, Operator, cases, operators

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = [str(REPOSITORY / name) for name in ("compiler", "runtime", "frontends")]
RIGHT, WRONG, REFUSED, BROKEN, OUTSIDE = "right", "wrong", "refused", "broken", "outside"
CATEGORIES = (RIGHT, WRONG, REFUSED, BROKEN, OUTSIDE)
SECONDS_PER_CASE = 120


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes:
        category: "right"; "wrong"; "refused", by an error of ours; "broken", an error that is none
            of ours or a dead process; "outside", there is no right answer to compare with.
        detail: The reason in one line.
    """

    category: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.category}: {self.detail}" if self.detail else self.category


def judge(case: Case) -> Verdict:
    """Export, compile and run a case, and compare with PyTorch."""
    try:
        right = answers.right_answers(case)
    except answers.NoAnswerError as error:
        return Verdict(OUTSIDE, str(error))
    try:
        found = _deploy(case)
    except Exception as error:
        kind = REFUSED if _is_ours(error) else BROKEN
        return Verdict(kind, " ".join(f"{type(error).__name__}: {error}".split())[:600])
    wrong = answers.difference(found, right)
    return Verdict(RIGHT) if wrong is None else Verdict(WRONG, wrong)


def _deploy(case: Case) -> list[Any]:
    """What a case's operator gives by way of an exported, compiled and loaded model."""
    from sardonyx import compiler, frontends, runtime
    from sardonyx.compiler.proof import SAMPLES

    args, kwargs = case.arguments()
    model = frontends.from_torch(Operator(case.function), args, kwargs)
    (feeds,) = model.meta[SAMPLES]
    program = compiler.compile(model, verify_level=2, proof="off")
    # PyTorch keeps denormal numbers.
    session = runtime.load(program, threads=1, config={"session.set_denormal_as_zero": "0"})
    return list(session(**feeds))


def _is_ours(error: Exception) -> bool:
    from sardonyx.compiler.errors import SardonyxError
    from sardonyx.runtime.errors import SardonyxError as RuntimeSardonyxError

    return isinstance(error, (SardonyxError, RuntimeSardonyxError))


Watcher = Callable[[str, Verdict], None]


def judge_all(
    names: Sequence[str],
    most: int | None = 1,
    on_verdict: Watcher = lambda *_: None,
    *,
    seconds: float | None = None,
) -> dict[str, Verdict]:
    """Judge the samples of operators in child processes, one after another.

    Args:
        names: Full names of the operators.
        most: How many samples of each; None for all.
        on_verdict: Called with each case's name and verdict.
        seconds: Stop after so many; by default, after the last case.
    """
    started_at = time.monotonic()
    verdicts: dict[str, Verdict] = {}
    while True:
        started = None
        with _start(names, most, after=len(verdicts)) as child:
            assert child.stdout is not None
            for line in child.stdout:
                name, verdict = json.loads(line)
                started = name if verdict is None else None
                if verdict is None:
                    continue
                verdicts[name] = Verdict(*verdict)
                on_verdict(name, verdicts[name])
                if seconds is not None and time.monotonic() - started_at > seconds:
                    child.kill()
                    return verdicts
        if child.returncode == 0:
            return verdicts
        if started is None:
            raise RuntimeError(f"the judge ended with status {child.returncode} between two cases")
        how = f"the process ended with status {child.returncode}"
        verdicts[started] = Verdict(BROKEN, how)
        on_verdict(started, verdicts[started])


def _start(names: Sequence[str], most: int | None, after: int) -> subprocess.Popen[str]:
    """A process that judges the cases behind the first `after`."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.opinfo.judge", json.dumps([list(names), most, after])],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(ROOTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def main(names: Sequence[str], most: int | None, after: int) -> None:
    """Judge cases; one line before and after each."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    known = operators()
    chosen = itertools.chain.from_iterable(cases(known[name], most) for name in names)
    answers_to = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever an operator prints is no verdict.
    os.dup2(2, 1)
    for case in itertools.islice(chosen, after, None):
        answers_to.write(json.dumps([case.name, None]) + "\n")
        faulthandler.dump_traceback_later(SECONDS_PER_CASE, exit=True)
        verdict = judge(case)
        faulthandler.cancel_dump_traceback_later()
        answers_to.write(json.dumps([case.name, [verdict.category, verdict.detail]]) + "\n")


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))

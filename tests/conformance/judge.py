"""Runs all cases of a group and says of each whether it is right.

A native crash takes only this process down: the suite starts it as a child, and starts another
one behind the case that was running.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Collection
from pathlib import Path

from tests.conformance.cases import Case, cases
from tests.conformance.values import difference

REPOSITORY = Path(__file__).resolve().parents[2]
RIGHT = "right"
ROUTES = ("deploy", "written", "ort_alone")
DEVICE_ROUTES = ("deploy_cuda", "cuda_alone")


def judge(case: Case, route: str) -> str:
    """ "right", or what is wrong with a case in one line."""
    from tests.conformance import deploy

    try:
        run = getattr(deploy, route)(case.model())
        for inputs, expected in case.data_sets():
            found = run(inputs)
            if len(found) != len(expected):
                return f"{len(found)} outputs instead of {len(expected)}"
            for index, (one, other) in enumerate(zip(found, expected, strict=True)):
                wrong = difference(one, other, case.rtol, case.atol)
                if wrong is not None:
                    return f"output {index}: {wrong}"
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return RIGHT


def judge_group(
    group: str, route: str, only: Collection[str] = (), timeout: float = 600
) -> dict[str, str]:
    """Judge a group in child processes; a case that kills its process is told by the signal.

    With `only`, cases of other names are passed over.
    """
    verdicts: dict[str, str] = {}
    while True:
        arguments = [group, route, str(len(verdicts)), *only]
        child = subprocess.run(
            [sys.executable, "-m", "tests.conformance.judge", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        started = None
        for line in child.stdout.splitlines():
            name, verdict = json.loads(line)
            started = name if verdict is None else None
            if verdict is not None:
                verdicts[name] = verdict
        if child.returncode == 0:
            return verdicts
        if started is None:
            raise RuntimeError(f"the judge of {group} died:\n{child.stderr[-2000:]}")
        verdicts[started] = f"the process died with status {child.returncode}"


def main(group: str, route: str, after: int, only: Collection[str]) -> None:
    """Judge the cases of a group behind the first `after`; one line before and after each."""
    warnings.simplefilter("ignore")
    chosen = [case for case in cases(group) if not only or case.name in only]
    for case in chosen[after:]:
        print(json.dumps([case.name, None]), flush=True)
        print(json.dumps([case.name, judge(case, route)]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])

"""Prints what becomes of PyTorch's operator samples, and the figures.

python -m tests.opinfo [OPERATOR ...] [--samples N|all] [--minutes N] [--verdicts FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from tests.opinfo.cases import operators
from tests.opinfo.expected import LIST, complaints, read_list
from tests.opinfo.judge import CATEGORIES, OUTSIDE, RIGHT, Verdict, judge_all


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.opinfo", description=__doc__)
    parser.add_argument("operators", nargs="*", help="full names; all that take float32 if none")
    parser.add_argument("--samples", default="1", help="of each operator; all for all of them")
    parser.add_argument("--minutes", type=float, help="stop after so many")
    parser.add_argument("--verdicts", type=Path, help="file that takes a line of JSON for each")
    given = parser.parse_args()
    most = None if given.samples == "all" else int(given.samples)
    console = Console(highlight=False, markup=False)
    lines = given.verdicts.open("w") if given.verdicts else None

    def show(name: str, verdict: Verdict) -> None:
        if verdict.category != RIGHT or given.operators:
            console.print(f"{name}: {verdict}", soft_wrap=True)
        if lines is not None:
            print(json.dumps([name, verdict.category, verdict.detail]), file=lines, flush=True)

    seconds = None if given.minutes is None else 60 * given.minutes
    verdicts = judge_all(given.operators or list(operators()), most, show, seconds=seconds)
    console.print(figures(verdicts))
    if most == 1:
        for line in complaints(verdicts, read_list(LIST.read_text())):
            console.print(f"list: {line}", soft_wrap=True)


def figures(verdicts: Mapping[str, Verdict]) -> str:
    """How many cases there are of each category, and how many in a hundred are right."""
    counts = Counter(verdict.category for verdict in verdicts.values())
    inside = len(verdicts) - counts[OUTSIDE]
    parts = ", ".join(f"{counts[category]} {category}" for category in CATEGORIES)
    share = f"; {counts[RIGHT] / inside:.1%} of the {inside} others are right" if inside else ""
    return f"{len(verdicts)} cases: {parts}{share}"


if __name__ == "__main__":
    main()

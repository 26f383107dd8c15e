"""Tables of what becomes of neighbours: tests/golden/neighbours holds one for each file of tests.

A table has a section for each model of a test, and in it what becomes of variations of the model:

    test_spellings[mean] (2)
        becomes LayerNormalization
            axis 0 of x is not known
        the scale is not a constant (gain: float[4])
            gain is no constant
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.meta.imports import REPOSITORY

TESTS = REPOSITORY / "tests" / "compiler" / "rules"
TABLES = REPOSITORY / "tests" / "golden" / "neighbours"
Table = dict[str, dict[str, str]]
"""For each section what becomes of each variation."""
_STEP = "    "
WANTED = os.environ.get("SARDONYX_NEIGHBOURS", "2")
"""How many neighbours are looked at besides those of tables, `all`, or `write` the tables."""
IS_WRITING = WANTED == "write"


def table_of(test: Path) -> Path:
    """The table of a file of tests."""
    return TABLES / test.relative_to(TESTS).with_name(f"{test.stem.removeprefix('test_')}.txt")


@functools.cache
def read(path: Path) -> Table:
    """Read a table; one that is not there is empty."""
    table: Table = {}
    section, outcome = "", ""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        text = line.strip()
        depth = (len(line) - len(line.lstrip())) // len(_STEP)
        if depth == 0 and text:
            section = text
            table[section] = {}
        elif depth == 1:
            outcome = text
        elif depth == 2:
            table[section][text] = outcome
    return table


def write(path: Path, table: Table) -> None:
    """Write a table without its empty sections."""
    lines: list[str] = []
    for section, outcomes in table.items():
        if outcomes:
            lines.append(section)
        for outcome in dict.fromkeys(outcomes.values()):
            lines.append(_STEP + outcome)
            lines += (2 * _STEP + what for what, each in outcomes.items() if each == outcome)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Place:
    """Where the test that runs now has its table: the file, and the section of its next model."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._test = ""

    def next(self) -> tuple[Path, str] | None:
        """The file and the section; None for a test of anything else than rules."""
        node, _, phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
        file, _, name = node.partition("::")
        test = REPOSITORY / file
        if phase != "(call)" or TESTS not in test.parents:
            return None
        if node != self._test:
            self._test = node
            self._counts.clear()
        self._counts[node] += 1
        count = self._counts[node]
        section = " ".join(name.encode("unicode_escape").decode().split())
        return table_of(test), section if count == 1 else f"{section} ({count})"


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """What is not as the table says."""
    for what, outcome in wanted.items():
        if found.get(what) != outcome:
            yield f"{what}\n  now:   {found.get(what, 'no such neighbour')}\n  table: {outcome}"

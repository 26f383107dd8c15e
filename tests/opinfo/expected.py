"""The list of expected failures, and how verdicts are compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.conformance.expected import entries
from tests.opinfo.judge import RIGHT, Verdict

LIST = Path(__file__).with_name("expected_failures.txt")


def read_list(text: str) -> dict[str, tuple[str, str]]:
    """Parse the list: a category and a reason in brackets, then the operators they hold for.

    Returns, by operator, category and reason.
    """
    found = {}
    for name, said in entries(text):
        category, _, reason = said.partition(": ")
        assert reason, f"{said} says no reason"
        found[name] = (category, reason)
    return found


def complaints(
    verdicts: Mapping[str, Verdict], expected: Mapping[str, tuple[str, str]]
) -> list[str]:
    """Everything in which verdicts, of first samples, and the list disagree."""
    found = []
    for name, verdict in verdicts.items():
        category, reason = expected.get(name, (RIGHT, ""))
        if verdict.category == category:
            continue
        if verdict.category == RIGHT:
            found.append(f"{name} is right now; take it off the list ({reason})")
        else:
            found.append(f"{name} is {verdict}, expected was {category}")
    return sorted(found)

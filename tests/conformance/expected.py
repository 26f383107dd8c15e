"""The list of expected failures, and how verdicts are compared with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.judge import RIGHT

LIST = Path(__file__).with_name("expected_failures.txt")
_EITHER = "either:"


@dataclass(frozen=True)
class Reason:
    """Why a case is wrong; `is_either` if that depends on the machine."""

    text: str
    is_either: bool


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Parse a list: a reason in brackets, then the names it holds for; yield name and reason."""
    seen: set[str] = set()
    reason = None
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            reason = line.strip("[]").strip()
            continue
        assert reason is not None, f"{line} stands before any reason"
        assert line not in seen, f"{line} is listed twice"
        seen.add(line)
        yield line, reason


def read_list(text: str) -> dict[str, Reason]:
    """Parse the list of expected failures: cases and reasons."""
    found = {name: Reason(said, said.startswith(_EITHER)) for name, said in entries(text)}
    for reason in found.values():
        assert reason.text.removeprefix(_EITHER).strip(), "a reason must say something"
    return found


def complaints(
    group: str, verdicts: Mapping[str, str], expected: Mapping[str, Reason]
) -> list[str]:
    """Everything in which the verdicts of a group and the list disagree."""
    listed = {k.split("/", 1)[1]: r for k, r in expected.items() if k.startswith(f"{group}/")}
    found = [f"{name} is listed, but there is no such case" for name in listed.keys() - verdicts]
    for name, verdict in verdicts.items():
        reason = listed.get(name)
        if verdict != RIGHT and reason is None:
            found.append(f"{name} is wrong: {verdict}")
        if verdict == RIGHT and reason is not None and not reason.is_either:
            found.append(f"{name} is right now; take it off the list ({reason.text})")
    return sorted(found)

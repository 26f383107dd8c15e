"""Mutants that compute the same as the code, found by hand, each with the reason."""

from __future__ import annotations

from pathlib import Path

TABLE = Path(__file__).with_name("equivalent.txt")


def equivalents() -> dict[str, str]:
    """The reason for each mutant of the table, by the mutant's key.

    A row is the key, which has no line, and below it, indented, the reason.

    Raises:
        ValueError: A row has no reason, or is there twice.
    """
    found: dict[str, str] = {}
    key = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("    ") and key:
            found[key] = f"{found[key]} {line.strip()}".strip()
            continue
        key = line.strip()
        if key in found:
            raise ValueError(f"twice in the table of equivalents: {key}")
        found[key] = ""
    if missing := [key for key, reason in found.items() if not reason]:
        raise ValueError(f"no reason is given why this is no defect: {missing[0]}")
    return found

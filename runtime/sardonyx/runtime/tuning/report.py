"""What a tuning found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..tuned import Tuned
from .choice import Choice
from .search import Found, Record
from .statistics import Spread


@dataclass(frozen=True)
class Tuning:
    """The result of :func:`sardonyx.runtime.tune`; ``print(tuning)`` shows each candidate.

    Attributes:
        model: The file that was tuned.
        variant: The variant that is best; empty for the model itself.
        settings: What the best session is loaded with beyond the untuned one; empty for no gain.
        gain: How many times faster than the untuned session, confirmed; None for no gain.
        tuned: What the artifact carries.
        stored: The file that carries it; empty if none was written.
    """

    model: str
    variant: str
    settings: Mapping[str, Any]
    gain: Spread | None
    tuned: Tuned
    stored: str
    found: Found

    @property
    def records(self) -> Sequence[Record]:
        """What became of each candidate, in the order in which they were tried."""
        return self.found.records

    def summary(self) -> str:
        """One line."""
        if self.gain is None:
            return f"{self.model}: no gain on this machine: {self.found.why}"
        chosen = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.model}: {self.gain} times faster with {chosen}"

    def __str__(self) -> str:
        head = ("candidate", "ms", "times faster", "deviation", "")
        rows = [head, *map(_row, self.records)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [
            "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self.summary(), *lines, self._notes()])

    def _notes(self) -> str:
        found = self.found
        notes = [f"outputs may deviate by {found.limit:.1e} of the largest element"]
        if found.equal is not None:
            notes.append(f"two untuned processes differ by {found.equal}")
        stored = f"stored in {self.stored}" if self.stored else "not stored"
        return "; ".join([*notes, f"{found.seconds:.1f} s", stored])

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found = self.found
        return {
            "model": self.model,
            "variant": self.variant,
            "settings": dict(self.settings),
            "gain": _figures(self.gain),
            "equal": _figures(found.equal),
            "why": found.why,
            "baseline_ms": 1e3 * found.baseline_s,
            "best_ms": 1e3 * found.best_s,
            "limit": found.limit,
            "seconds": found.seconds,
            "machine": dict(self.tuned.machine),
            "stored": self.stored,
            "candidates": [_fields(record) for record in found.records],
        }


def _row(record: Record) -> tuple[str, ...]:
    return (
        f"{record.group}: {record.name}",
        "" if record.seconds is None else f"{1e3 * record.seconds:.3g}",
        "" if record.ratio is None else str(record.ratio),
        "" if record.deviation is None else f"{record.deviation:.1e}",
        f"{record.status}: {record.why}"[:120] if record.why else record.status,
    )


def _fields(record: Record) -> dict[str, Any]:
    return {
        "group": record.group,
        "name": record.name,
        "settings": record.choice.differences(Choice()),
        "status": record.status,
        "why": record.why,
        "ms": None if record.seconds is None else 1e3 * record.seconds,
        "ratio": _figures(record.ratio),
        "deviation": record.deviation,
    }


def _figures(found: Spread | None) -> dict[str, float] | None:
    return None if found is None else dict(vars(found))

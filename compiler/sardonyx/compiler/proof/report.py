"""What was checked while a model was compiled, and what was undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPORT = "export"
"""What incidents call the way from the passes to a session; nothing of it can be undone."""


@dataclass(frozen=True)
class Check:
    """One comparison with the source model.

    Attributes:
        after: The pass after which it was made, or what else was checked.
        ratio: The largest difference of an output, as a part of what its rounding explains.
        seconds: What it took.
    """

    after: str
    ratio: float
    seconds: float


@dataclass(frozen=True)
class Incident:
    """A change of the model that changed its answer.

    Attributes:
        pass_name: The pass that made it.
        rule: The rule, or the kind of change.
        site: Where, in the user's terms.
        difference: What came out otherwise.
        action: What was done about it.
        repro: The file that shows it, if one was written.
    """

    pass_name: str
    rule: str
    site: str
    difference: str
    action: str
    repro: Path | None = None

    def __str__(self) -> str:
        repro = f"; see {self.repro}" if self.repro else ""
        return (
            f"pass {self.pass_name!r}, rule {self.rule!r} at {self.site}: {self.difference}; "
            f"{self.action}{repro}"
        )


@dataclass
class Proof:
    """The evidence that a program computes what its source does.

    Attributes:
        level: How often it was compared: "off", "end", "pass" or "rewrite".
        samples: How many inputs it was compared on.
        checks: Each comparison, in order.
        incidents: What changed the answer.
        unchecked: Why nothing, or nothing from some pass on, was compared; empty if all was.
        blind: Outputs of which agreement says nothing, as those that are zero everywhere, and why.
        outputs: How many outputs the model has.
        seconds: Wall time of all of it.
    """

    level: str
    samples: int = 0
    checks: list[Check] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    unchecked: str = ""
    blind: dict[str, str] = field(default_factory=dict)
    outputs: int = 0
    seconds: float = 0.0

    @property
    def worst(self) -> float:
        """The largest ratio of what was kept; zero if there was no check.

        A check that found a change to undo says nothing of the program, unless it is the last one.
        """
        kept = [check.ratio for check in self.checks if check.ratio <= 1.0]
        return max([*kept, *(check.ratio for check in self.checks[-1:])], default=0.0)

    @property
    def holds(self) -> bool:
        """Whether the program that came out was compared with its source, and agrees.

        It was not if agreement says nothing of any output.
        """
        is_compared = bool(self.checks) and not self.unchecked
        return is_compared and self.checks[-1].ratio <= 1.0 and len(self.blind) < self.outputs

    @property
    def is_wrong(self) -> bool:
        """Whether the program that came out was compared with its source, and does not agree."""
        return bool(self.checks) and not self.unchecked and self.checks[-1].ratio > 1.0

    def summary(self) -> dict[str, Any]:
        """Return what an artifact says of it: nothing that depends on time or place."""
        return {
            "level": self.level,
            "samples": self.samples,
            "holds": self.holds,
            "undone": sorted(
                {i.rule or i.pass_name for i in self.incidents if i.pass_name != EXPORT}
            ),
            "blind": sorted(self.blind),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, strings, lists and dicts."""
        return {
            "level": self.level,
            "holds": self.holds,
            "samples": self.samples,
            "worst": self.worst,
            "unchecked": self.unchecked,
            "blind": self.blind,
            "seconds": self.seconds,
            "checks": [vars(check) for check in self.checks],
            "incidents": [
                {
                    "pass": incident.pass_name,
                    "rule": incident.rule,
                    "site": incident.site,
                    "difference": incident.difference,
                    "action": incident.action,
                    "repro": str(incident.repro) if incident.repro else None,
                }
                for incident in self.incidents
            ],
        }

    def __str__(self) -> str:
        if self.level == "off":
            return "not checked: it was switched off"
        if not self.checks:
            return f"not checked: {self.unchecked}"
        rows = [
            f"compared with the source {len(self.checks)} times on {self.samples} sample(s) in "
            f"{self.seconds:.1f} s: the largest difference is {self.worst:.2f} of what rounding "
            "explains"
        ]
        if self.unchecked:
            rows.append(f"not checked any further: {self.unchecked}")
        rows += blind_rows(self.blind)
        for incident in self.incidents:
            rows.append(f"{'changed' if incident.pass_name == EXPORT else 'undone'}: {incident}")
        if self.is_wrong:
            rows.append("the program does not agree with its source")
        return "\n".join(rows)


def blind_rows(blind: Mapping[str, str]) -> list[str]:
    """What to say of outputs of which agreement says nothing, a line each."""
    remedy = "give samples, or weights that are trained"
    return [f"output {name!r} says nothing: {why}; {remedy}" for name, why in blind.items()]

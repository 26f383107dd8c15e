"""What became of each site: fused, or the rule that came nearest and why it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.explanation.families import FAMILIES, NAMES
from sardonyx.compiler.explanation.require import Requirement
from sardonyx.compiler.ir.schema import meant
from sardonyx.compiler.rewrite.nearest import Nearest

FUSED, ALREADY, DECIDED, MISSED = "fused", "already", "decided", "missed"
_OUTCOMES = {
    FUSED: "fused",
    ALREADY: "one operator in the source",
    DECIDED: "computed at compile time, or read by nobody",
    MISSED: "missed",
}


@dataclass(frozen=True)
class Site:
    """A place of the source model where a fusion can be expected, and what became of it.

    Attributes:
        family: `attention`, `norm`, `activation`, `rotary`, `conv_block` or `parallel_linears`.
        kind: What it computes: `layer_norm`, `gelu` ...
        place: Where it is in the source: a module path, a source line, or a node's name.
        owner: Class of that module, or "".
        outcome: `fused`; `already`, in the source; `decided` at compile time; or `missed`.
        rule: The rule that fused it, or "".
        operators: The operators that it ended up in.
        nearest: For a miss, the rule that came nearest; None if none came near.
        said: What the site looks like, in words, or "".
    """

    family: str
    kind: str
    place: str
    owner: str
    outcome: str
    rule: str = ""
    operators: tuple[str, ...] = ()
    nearest: Nearest | None = None
    said: str = ""

    @property
    def is_fused(self) -> bool:
        """Whether it is one operator in the end, by a rule or because it was one before."""
        return self.outcome in {FUSED, ALREADY}

    @property
    def reason(self) -> str:
        """For a miss, why; otherwise ""."""
        if self.outcome != MISSED:
            return ""
        return self.nearest.why if self.nearest else "no rule knows a part of it as it is here"

    @property
    def told_outcome(self) -> str:
        """What became of it, in words."""
        text = _OUTCOMES[self.outcome]
        return f"{text} by {self.rule}" if self.rule else text

    def to_dict(self) -> dict[str, Any]:
        """Return it as strings and lists."""
        near = self.nearest
        return {
            "family": self.family,
            "kind": self.kind,
            "place": self.place,
            "class": self.owner,
            "outcome": self.outcome,
            "rule": self.rule,
            "operators": list(self.operators),
            "looks_like": self.said,
            "nearest_rule": near.rule if near else "",
            "nearest_at": near.site if near else "",
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Count:
    """How many sites there are of a family or kind.

    Attributes:
        found: All of them.
        fused: Those that are one operator in the end, by a rule or already in the source.
        decided: Those that compilation has computed, or that nobody reads.
        missed: The others.
    """

    found: int = 0
    fused: int = 0
    decided: int = 0
    missed: int = 0


@dataclass(frozen=True)
class Explanation:
    """What became of each site of a model where a fusion can be expected.

    Attributes:
        sites: The sites, family by family, in the order of the source.
    """

    sites: tuple[Site, ...]

    def of(self, name: str) -> list[Site]:
        """Return the sites of a family or kind.

        Raises:
            UnsupportedError: There is no such family or kind.
        """
        check_name(name)
        return [site for site in self.sites if name in (site.family, site.kind)]

    def count(self, name: str) -> Count:
        """Count the sites of a family or kind.

        Raises:
            UnsupportedError: There is no such family or kind.
        """
        sites = self.of(name)
        outcomes = [site.outcome for site in sites]
        return Count(
            len(sites),
            sum(site.is_fused for site in sites),
            outcomes.count(DECIDED),
            outcomes.count(MISSED),
        )

    def counts(self) -> dict[str, Count]:
        """Count the sites of each family, those without any included."""
        return {family: self.count(family) for family in FAMILIES}

    def summary(self, name: str) -> str:
        """Say how many sites of a family or kind were fused: `attention: 11 of 12 fused, 1 missed`.

        Raises:
            UnsupportedError: There is no such family or kind.
        """
        count = self.count(name)
        decided = f", {count.decided} decided at compile time" if count.decided else ""
        missed = f", {count.missed} missed" if count.missed else ""
        return f"{name}: {count.fused} of {count.found} fused{decided}{missed}"

    @property
    def missed(self) -> list[Site]:
        """The sites that were missed."""
        return [site for site in self.sites if site.outcome == MISSED]

    def unmet(self, requirements: Sequence[str]) -> dict[str, str]:
        """Return the requirements that do not hold, with what holds instead.

        Args:
            requirements: Such as `attention=12`, `gelu=all` or `layer_norm>=24`; names are those
                of families and kinds, and what counts is `Count.fused`. `all` demands that there
                are some and that none is missed.

        Raises:
            UnsupportedError: One is malformed, or names no family or kind.
        """
        found: dict[str, str] = {}
        for text in requirements:
            wanted = Requirement.read(text)
            count = self.count(wanted.name)
            if not wanted.holds(count.found, count.fused, count.missed):
                found[text] = self.summary(wanted.name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, strings, lists and dicts."""
        counts = {name: vars(count) for name, count in self.counts().items()}
        return {"counts": counts, "sites": [site.to_dict() for site in self.sites]}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for family in FAMILIES:
            sites = self.of(family)
            if sites:
                yield self.summary(family)
                yield from (f"  {line}" for site in sites for line in _told(site))


def check_name(name: str) -> None:
    """Demand that there is a family or kind of that name.

    Raises:
        UnsupportedError: There is none.
    """
    if name not in NAMES:
        raise UnsupportedError(
            "There is no such family or kind of fusion.",
            found=repr(name),
            expected=", ".join(NAMES),
            remedy=meant(name, NAMES),
        )


def _told(site: Site) -> Iterator[str]:
    """Yield the lines that tell of one site."""
    owner = f" ({site.owner})" if site.owner else ""
    into = f" -> {', '.join(site.operators)}" if site.operators else ""
    yield f"{site.place}{owner}: {site.said or site.kind}: {site.told_outcome}{into}"
    if site.outcome == MISSED:
        near = site.nearest
        yield f"    {f'nearest rule {near.rule}: ' if near else ''}{site.reason}"

"""Follows the sites of a source model through compilation.

Each part of a site is marked on its node. The marks go with provenance: whatever replaces the node
carries them on. They are not exported, so that a program is the same with and without them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.explanation.families import FAMILIES
from sardonyx.compiler.explanation.flow import Flow
from sardonyx.compiler.explanation.report import (
    ALREADY,
    DECIDED,
    FUSED,
    MISSED,
    Explanation,
    Site,
)
from sardonyx.compiler.explanation.site import Found, spelled
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Change, Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rewrite.engine import downstream
from sardonyx.compiler.rewrite.nearest import Nearest, nearest

DIAGNOSED_BEFORE = "select"
"""The pass before which misses are explained: what follows is a matter of the target's taste."""

_NEARBY = 3
"""How many nodes in a row belong to the surroundings of a part, itself included."""


@dataclass
class _Tracked:
    """A site on its way."""

    family: str
    found: Found
    rules: dict[int, str] = field(default_factory=dict)
    nearest: dict[int, Nearest | None] = field(default_factory=dict)

    @property
    def open_parts(self) -> list[int]:
        """The parts that are in no fused operator yet."""
        return [i for i in range(len(self.found.anchors)) if i not in self.rules]


class Tracker:
    """Finds the sites of a model, and learns what becomes of them while it is compiled."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._is_diagnosed = False
        flow = Flow(editor.model)
        self._sites = [
            _Tracked(name, found)
            for name, family in FAMILIES.items()
            for found in family.find(flow)
        ]
        for index, site in enumerate(self._sites):
            for part, node in enumerate(site.found.anchors):
                provenance.mark(node, [f"{index}/{part}"])
        self._accept(editor.model.graph.all_nodes(), "")
        editor.listeners.append(self._see)
        editor.savers.append(self._save)

    def before_pass(self, name: str) -> None:
        """Explain what was missed, once all that can fuse has run."""
        if name == DIAGNOSED_BEFORE:
            self._diagnose()

    def explanation(self) -> Explanation:
        """Return what became of each site; the model is compiled now."""
        self._diagnose()
        nodes = list(self._editor.model.graph.all_nodes())
        held = _by_mark(nodes)
        return Explanation(tuple(_told(s, i, held) for i, s in enumerate(self._sites)))

    def _save(self) -> Callable[[], None]:
        """Return what forgets the changes that are undone."""
        known = [dict(site.rules) for site in self._sites]

        def restore() -> None:
            for site, rules in zip(self._sites, known, strict=True):
                site.rules = dict(rules)

        return restore

    def _see(self, change: Change) -> None:
        self._accept(change.added, change.rule)

    def _accept(self, nodes: Iterable[ir.Node], rule: str) -> None:
        for node in nodes:
            marks = provenance.sites(node)
            for index, part in map(_split, marks):
                site = self._sites[index]
                if part not in site.rules and _is_goal(node, site.found, index, marks):
                    site.rules[part] = rule

    def _diagnose(self) -> None:
        """Ask, on a copy, which rule came nearest to each part that is in no fused operator."""
        if self._is_diagnosed:
            return
        self._is_diagnosed = True
        nodes = list(self._editor.model.graph.all_nodes())
        for node in nodes:
            # A node that was there already may have taken the place of another.
            self._accept([node], (provenance.rules(node) or [""])[-1])
        still = {m for node in nodes for m in provenance.sites(node)}
        missed = [
            (index, part)
            for index, site in enumerate(self._sites)
            for part in site.open_parts
            if f"{index}/{part}" in still
        ]
        if not missed:
            return
        copy = self._editor.model.clone()
        editor = Editor(copy, Types.inferred(copy))
        held = _by_mark(copy.graph.all_nodes())
        for index, part in missed:
            site = self._sites[index]
            rules = FAMILIES[site.family].rules(site.found.kind)
            wanted = held[f"{index}/{part}"]
            # A rule may stop before it comes to the node: at what stands between it and its reader.
            site.nearest[part] = nearest(rules, wanted, editor) or nearest(
                rules, set(downstream(wanted, _NEARBY)), editor
            )


def _split(mark: str) -> tuple[int, int]:
    index, _, part = mark.partition("/")
    return int(index), int(part)


def _by_mark(nodes: Iterable[ir.Node]) -> dict[str, list[ir.Node]]:
    held: dict[str, list[ir.Node]] = defaultdict(list)
    for node in nodes:
        for mark in provenance.sites(node):
            held[mark].append(node)
    return held


def _is_goal(node: ir.Node, found: Found, index: int, marks: list[str]) -> bool:
    if spelled(node) not in found.accepted:
        return False
    return sum(i == index for i, _ in map(_split, marks)) > found.shared_by


def _told(tracked: _Tracked, index: int, held: dict[str, list[ir.Node]]) -> Site:
    found = tracked.found
    parts = range(len(found.anchors))
    missed = [p for p in tracked.open_parts if held[f"{index}/{p}"]]
    rules = [rule for p in parts if (rule := tracked.rules.get(p))]
    if missed:
        outcome = MISSED
    elif rules:
        outcome = FUSED
    else:
        outcome = ALREADY if tracked.rules else DECIDED
    names = list(dict.fromkeys(spelled(n) for p in parts for n in held[f"{index}/{p}"]))
    nearests = [n for p in missed if (n := tracked.nearest.get(p))]
    return Site(
        tracked.family,
        found.kind,
        found.place,
        found.owner,
        outcome,
        ", ".join(dict.fromkeys(rules)) if outcome == FUSED else "",
        tuple(names if missed else _goals(found, names)),
        max(nearests, key=lambda n: n.rank, default=None),
        found.said,
    )


def _goals(found: Found, names: list[str]) -> list[str]:
    """Return, of the operators that a site is now, those that it was meant to be, if any are."""
    return [name for name in names if name in found.accepted] or names

"""Finds the rule that came nearest to rewriting given nodes, and why it did not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.rewrite.engine import downstream, refusal
from sardonyx.compiler.rewrite.match import Attempt, Match, State, search
from sardonyx.compiler.rewrite.rule import Rule

_WHOLE = 2
"""By how many nodes a pattern that is all there is ahead of one that is not."""


@dataclass(frozen=True)
class Nearest:
    """The rule that came nearest.

    Attributes:
        rule: Its name.
        why: The first condition that failed.
        site: Where its pattern starts, in the user's terms.
        matched: How many nodes of the pattern were there.
        is_whole: Whether all of them were, and only a condition failed.
    """

    rule: str
    why: str
    site: str
    matched: int
    is_whole: bool

    @property
    def rank(self) -> int:
        """How near it is: half of a large pattern is nearer than a refusal of a single node."""
        return self.matched + (_WHOLE if self.is_whole else 0)


@dataclass
class _About(Attempt):
    """An attempt that counts only where one of some nodes is part of what matched."""

    wanted: Collection[ir.Node] = field(default_factory=tuple)

    def stopped(self, state: State, why: Callable[[], str]) -> None:
        """Note a failure if it came further than those before, and is about the nodes."""
        if any(node in self.wanted for node in state.nodes):
            super().stopped(state, why)


def nearest(rules: Sequence[Rule], wanted: Collection[ir.Node], editor: Editor) -> Nearest | None:
    """Return the rule that came nearest to a rewrite that some nodes are part of.

    Nothing is changed. None if no rule's pattern got as far as one of the nodes.
    """
    best: Nearest | None = None
    reach = max((rule.depth for rule in rules), default=0)
    for node in downstream(wanted, reach):
        for rule in rules:
            if (node.domain, node.op_type) in rule.roots:
                found = _try(rule, node, wanted, editor)
                if found is not None and (best is None or found.rank > best.rank):
                    best = found
    return best


def _try(rule: Rule, root: ir.Node, wanted: Collection[ir.Node], editor: Editor) -> Nearest | None:
    attempt = _About(wanted=wanted)
    best: Nearest | None = None
    where = provenance.site(root)
    for pattern in rule.patterns:
        if root.op_type not in pattern.op_types or root.domain != pattern.domain:
            continue
        for match in search(pattern, root, attempt, rule.names):
            size = len(match.nodes)
            is_about = any(node in wanted for node in match.nodes)
            if is_about and (best is None or size > best.matched):
                best = Nearest(rule.name, _reason(rule, match, editor), where, size, True)
    if best is None and attempt.depth > 0:
        best = Nearest(rule.name, attempt.why(), where, attempt.depth, False)
    return best


def _reason(rule: Rule, match: Match, editor: Editor) -> str:
    try:
        said = refusal(rule, match, editor)
    except SardonyxError as error:
        return error.what
    return "it matches, but no pass applied it" if said is None else str(said)

"""Finds the rule that came nearest to rewriting given nodes, and why it did not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.rewrite.engine import GUARD_DEPTH, downstream, refusal
from sardonyx.compiler.rewrite.match import Attempt, Match, State, search
from sardonyx.compiler.rewrite.rule import Rule


@dataclass(frozen=True)
class Nearest:
    """The rule that came nearest.

    Attributes:
        rule: Its name.
        why: The first condition that failed.
        site: Where its pattern starts, in the user's terms.
        matched: How many nodes of the pattern were there; more if all of them were.
    """

    rule: str
    why: str
    site: str
    matched: int


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
                if found is not None and (best is None or found.matched > best.matched):
                    best = found
    return best


def _try(rule: Rule, root: ir.Node, wanted: Collection[ir.Node], editor: Editor) -> Nearest | None:
    attempt = _About(wanted=wanted)
    best: tuple[int, str] | None = None
    for pattern in rule.patterns:
        if root.op_type not in pattern.op_types or root.domain != pattern.domain:
            continue
        for match in search(pattern, root, attempt, rule.names):
            depth = GUARD_DEPTH + len(match.nodes)
            is_about = any(node in wanted for node in match.nodes)
            if is_about and (best is None or depth > best[0]):
                best = depth, _reason(rule, match, editor)
    if best is None and attempt.depth > 0:
        best = attempt.depth, attempt.why()
    return None if best is None else Nearest(rule.name, best[1], provenance.site(root), best[0])


def _reason(rule: Rule, match: Match, editor: Editor) -> str:
    try:
        said = refusal(rule, match, editor)
    except SardonyxError as error:
        return error.what
    return "it matches, but no pass applied it" if said is None else str(said)

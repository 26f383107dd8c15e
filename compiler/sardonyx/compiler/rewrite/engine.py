"""Applies rules until none matches, and remembers what was rewritten and what nearly was."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.errors import RewriteError, SardonyxError
from sardonyx.compiler.ir import constants, provenance
from sardonyx.compiler.ir.edit import Change, Editor
from sardonyx.compiler.rewrite.match import Attempt, Match, search
from sardonyx.compiler.rewrite.rule import No, Rule

_HISTORY = "sardonyx.rewrite.history"
_GUARD_DEPTH = 1_000
"""A match that only its guard refused came further than any that stopped in the pattern."""


@dataclass(frozen=True)
class Miss:
    """The failed match of a rule that came furthest.

    Attributes:
        site: Where, in the user's terms.
        why: The first condition that failed.
        matched: How many nodes of the pattern were there.
    """

    site: str
    why: str
    matched: int


@dataclass
class RuleReport:
    """What the rules of one run did.

    Attributes:
        applied: For each rule the sites where it was applied.
        misses: For each rule its best failed match.
    """

    applied: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    misses: dict[str, Miss] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[str]:
        """How often each rule was applied."""
        return Counter({name: len(sites) for name, sites in self.applied.items()})


class Rewriter:
    """A set of rules, ready to be applied.

    Raises:
        RewriteError: Two rules have one name.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        names = Counter(rule.name for rule in rules)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise RewriteError(f"Two rules are called {twice[0]!r}.")
        self.rules = tuple(rules)
        self._by_root: dict[tuple[str, str], list[Rule]] = defaultdict(list)
        for rule in rules:
            for root in sorted(rule.roots):
                self._by_root[root].append(rule)

    def run(self, editor: Editor) -> RuleReport:
        """Apply the rules everywhere until none matches.

        Raises:
            RewriteError: A rule builds an ill-typed replacement, or rules undo each other.
        """
        report = RuleReport()
        work = _Worklist(node for graph in _graphs(editor.model) for node in graph)
        budget = 1_000 + 50 * len(work)
        while work:
            node = work.pop()
            if node.graph is None:
                continue
            change = self._rewrite(node, editor, report)
            if change is None:
                continue
            budget -= 1
            if budget < 0:
                raise _endless(report)
            work.push([*change.added, *change.readers])
            work.push(p for new in change.added for p in new.predecessors())
        return report

    def _rewrite(self, node: ir.Node, editor: Editor, report: RuleReport) -> Change | None:
        for rule in self._by_root.get((node.domain, node.op_type), ()):
            match = _find(rule, node, report)
            if match is None:
                continue
            change = _apply(rule, match, editor, report)
            if change is not None:
                report.applied[rule.name].append(change.site)
                return change
        return None


def _find(rule: Rule, node: ir.Node, report: RuleReport) -> Match | None:
    """Return the first match that the rule accepts at a node, or note the best failed one."""
    attempt = Attempt()
    for pattern in rule.patterns:
        if node.op_type not in pattern.op_types or node.domain != pattern.domain:
            continue
        for match in search(pattern, node, attempt):
            verdict = _is_closed(rule, match) and _ask(rule, match)
            if verdict:
                return match
            _note(rule, report, node, _GUARD_DEPTH + len(match.nodes), str(verdict))
    if attempt.depth > 0:
        known = report.misses.get(rule.name)
        if known is None or attempt.depth > known.matched:
            _note(rule, report, attempt.node or node, attempt.depth, attempt.why())
    return None


def _ask(rule: Rule, match: Match) -> bool | No:
    try:
        return rule.guard(match)
    except SardonyxError:
        raise
    except Exception as error:
        raise RewriteError(
            f"The guard of rule {rule.name!r} fails with {type(error).__name__}: {error}",
            where=provenance.site(match.root),
        ) from error


def _is_closed(rule: Rule, match: Match) -> bool | No:
    """Refuse a match whose inner values others read, unless the rule keeps them."""
    inside = set(match.nodes)
    for other in match.root.outputs[1:]:
        if other.uses() or other.is_graph_output():
            return No("another output of the last node is used", other)
    if rule.keeps_shared:
        return True
    for node in match.nodes[1:]:
        for value in node.outputs:
            if value.is_graph_output():
                return No("a value in between is an output of the graph", value)
            for user, _ in value.uses():
                if user not in inside:
                    return No(f"a value in between is also read by {provenance.site(user)}", value)
    return True


def _apply(rule: Rule, match: Match, editor: Editor, report: RuleReport) -> Change | None:
    history = _history(rule, match)
    built = editor.builder()
    try:
        made = rule.replace(built, match)
    except SardonyxError as error:
        raise RewriteError(
            f"Rule {rule.name!r} builds a replacement that is not valid: {error}",
            where=provenance.site(match.root),
        ) from error
    if isinstance(made, No):
        _note(rule, report, match.root, _GUARD_DEPTH + len(match.nodes), str(made))
        return None
    new = [made] if isinstance(made, ir.Value) else list(made)
    change = editor.replace(match.root.outputs[: len(new)], new, built, rule.name, match.nodes)
    for node in change.added:
        node.meta[_HISTORY] = history
    return change


def _history(rule: Rule, match: Match) -> frozenset[Any]:
    """Return what was rewritten before on the way to this match, with this match.

    A rule that meets again what it replaced, with the same operands and by way of its own
    replacement, would go on for ever.
    """
    before: frozenset[Any] = frozenset().union(*(n.meta.get(_HISTORY, ()) for n in match.nodes))
    held = match.captures.items()
    operands = [(k, id(v)) for k, v in held if isinstance(v, ir.Value)]
    shape = tuple((n.op_type, tuple(sorted(map(str, n.attributes.values())))) for n in match.nodes)
    event = (rule.name, tuple(o for o in operands), shape, _constants_of(match))
    if event in before:
        others = sorted({e[0] for e in before if e[0] != rule.name}) or [rule.name]
        raise RewriteError(
            f"Rules {rule.name!r} and {others[0]!r} undo each other.",
            where=provenance.site(match.root),
            remedy="make one of the two refuse what the other one builds",
        )
    return before | {event}


def _constants_of(match: Match) -> tuple[Any, ...]:
    """Return the small constants a match reads, by content: they may be all that changes."""
    found: list[Any] = []
    for node in match.nodes:
        for value in node.inputs:
            array = constants.array(value, 256)
            if array is not None:
                found.append((array.shape, array.tobytes()))
    return tuple(found)


def _note(rule: Rule, report: RuleReport, node: ir.Node, depth: int, why: str) -> None:
    known = report.misses.get(rule.name)
    if known is None or depth > known.matched:
        report.misses[rule.name] = Miss(provenance.site(node), why, depth)


def _endless(report: RuleReport) -> RewriteError:
    most = [f"{name} ({count} times)" for name, count in report.counts.most_common(2)]
    return RewriteError(
        "Rewriting does not come to an end.",
        found=f"most applied: {', '.join(most)}",
        remedy="look for rules that undo each other or that grow the graph",
    )


def _graphs(model: ir.Model) -> Iterator[ir.Graph]:
    yield model.graph
    yield from model.graph.subgraphs()


class _Worklist:
    """Nodes to look at, each once, first in first out."""

    def __init__(self, nodes: Iterable[ir.Node]) -> None:
        self._queue: deque[ir.Node] = deque()
        self._waiting: set[ir.Node] = set()
        self.push(nodes)

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, nodes: Iterable[ir.Node]) -> None:
        for node in nodes:
            if node not in self._waiting and node.graph is not None:
                self._waiting.add(node)
                self._queue.append(node)

    def pop(self) -> ir.Node:
        node = self._queue.popleft()
        self._waiting.discard(node)
        return node

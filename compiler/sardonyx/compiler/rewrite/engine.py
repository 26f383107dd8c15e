"""Applies rules until none matches, and remembers what was rewritten and what nearly was."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.errors import RewriteError, SardonyxError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Change, Editor, can_be_output
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.rewrite.history import History, check_new, event_of
from sardonyx.compiler.rewrite.match import Attempt, Match, may_match, search
from sardonyx.compiler.rewrite.rule import No, Rule

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
        self._reach = max((rule.depth for rule in rules), default=0)
        self._by_root: dict[tuple[str, str], list[Rule]] = defaultdict(list)
        for rule in rules:
            for root in sorted(rule.roots):
                self._by_root[root].append(rule)

    def run(self, editor: Editor) -> RuleReport:
        """Apply the rules everywhere until none matches.

        Raises:
            RewriteError: A rule fails or builds an ill-typed replacement, or rules undo each other.
        """
        run = _Run(editor)
        # What the constants of a model make no number of is for guards to see, not for the user.
        with np.errstate(all="ignore"):
            while True:
                # The misses are those of the last sweep: they hold for the model as it is then.
                run.report.misses.clear()
                if self._sweep(run) == 0:
                    return run.report

    def _sweep(self, run: _Run) -> int:
        """Look at every node, and again at those near a change; return the number of changes."""
        work = _Worklist(node for graph in graphs_in(run.editor.model.graph) for node in graph)
        changes = 0
        while work:
            node = work.pop()
            if node.graph is None:
                continue
            change = self._rewrite(node, run)
            if change is None:
                continue
            changes += 1
            run.spend()
            work.push([*change.added, *downstream(change.readers, self._reach)])
            work.push(p for new in change.added for p in new.predecessors())
        return changes

    def _rewrite(self, node: ir.Node, run: _Run) -> Change | None:
        for rule in self._by_root.get((node.domain, node.op_type), ()):
            for match in _matches(rule, node, run.report):
                change = _apply(rule, match, run)
                if change is not None:
                    run.report.applied[rule.name].append(change.site)
                    return change
        return None


def _matches(rule: Rule, node: ir.Node, report: RuleReport) -> Iterator[Match]:
    """Yield the matches that the rule accepts at a node; note the failed one that came furthest."""
    attempt = Attempt()
    # What stops after the root says nothing new of a rule that got as far elsewhere.
    is_known = rule.name in report.misses
    for pattern in rule.patterns:
        if node.op_type not in pattern.op_types or node.domain != pattern.domain:
            continue
        if is_known and not may_match(pattern, node):
            continue
        for match in search(pattern, node, attempt, rule.names):
            verdict = _is_closed(rule, match) and _ask(rule, match)
            if verdict:
                yield match
            else:
                _note(rule, report, node, _GUARD_DEPTH + len(match.nodes), str(verdict))
    if attempt.depth > 0:
        known = report.misses.get(rule.name)
        if known is None or attempt.depth > known.matched:
            _note(rule, report, node, attempt.depth, attempt.why())


def _ask(rule: Rule, match: Match) -> bool | No:
    verdict = _call(rule, "guard", match, rule.guard, match)
    if not isinstance(verdict, (bool, np.bool_, No)):
        raise RewriteError(
            f"The guard of rule {rule.name!r} answers {verdict!r}.",
            where=provenance.site(match.root),
            expected='True or no("why")',
            remedy="let it return its answer" if verdict is None else None,
        )
    return verdict if isinstance(verdict, No) else bool(verdict)


def _call(rule: Rule, part: str, match: Match, function: Callable[..., Any], *given: Any) -> Any:
    """Call a part of a rule; whatever it raises names the rule and the place."""
    try:
        return function(*given)
    except SardonyxError as error:
        raise RewriteError(
            f"The {part} of rule {rule.name!r} fails: {error.what}",
            where="; ".join(filter(None, [provenance.site(match.root), error.where])),
            found=error.found,
            expected=error.expected,
            remedy=error.remedy,
        ) from error
    except Exception as error:
        raise RewriteError(
            f"The {part} of rule {rule.name!r} fails with {type(error).__name__}: {error}",
            where=provenance.site(match.root),
        ) from error


def _is_closed(rule: Rule, match: Match) -> bool | No:
    """Refuse a match whose inner values others read, unless the rule keeps them."""
    if rule.keeps_shared:
        return True
    inside = set(match.nodes)
    for node in match.nodes[1:]:
        if node.graph is not match.root.graph:
            return No("a value in between is computed outside of the subgraph", node.outputs[0])
        for value in node.outputs:
            if value.is_graph_output():
                return No("a value in between is an output of the graph", value)
            for user, _ in value.uses():
                if user not in inside:
                    return No(f"a value in between is also read by {provenance.site(user)}", value)
    return True


def _apply(rule: Rule, match: Match, run: _Run) -> Change | None:
    event, past = event_of(rule.name, match, run.size), run.history.before(match)
    built = run.editor.builder()
    try:
        made = _call(rule, "replacement", match, rule.replace, built, match)
        swap = _swap_of(rule, match, made)
        refusal = swap if isinstance(swap, No) else _cannot_replace(match.root, *swap)
        if not isinstance(swap, No) and run.editor.is_quarantined(rule.name, swap[0][0]):
            refusal = No("it changed the model's answer here, and was undone", swap[0][0])
        if isinstance(swap, No) or refusal is not None:
            built.discard()
            depth = _GUARD_DEPTH + len(match.nodes)
            _note(rule, run.report, match.root, depth, str(refusal))
            return None
        check_new(event, past, match)
        change = run.editor.replace(*swap, built, rule.name, match.nodes)
    except SardonyxError:
        built.discard()
        raise
    run.history.remember(change.added, {**past, event: run.editor.changes})
    run.size += len(change.added) - len(change.erased)
    return change


def refusal(rule: Rule, match: Match, editor: Editor) -> No | None:
    """Return why a rule does not replace a match; None if it would. Nothing is changed."""
    verdict = _is_closed(rule, match) and _ask(rule, match)
    if not verdict:
        return verdict if isinstance(verdict, No) else No("its guard refuses")
    built = editor.builder()
    try:
        made = _call(rule, "replacement", match, rule.replace, built, match)
        swap = _swap_of(rule, match, made)
        return swap if isinstance(swap, No) else _cannot_replace(match.root, *swap)
    finally:
        built.discard()


_Values = list[ir.Value]


def _swap_of(rule: Rule, match: Match, made: Any) -> tuple[_Values, _Values] | No:
    """Return what goes, and what takes its place."""
    if isinstance(made, No):
        return made
    old, new = list(match.root.outputs), [made] if isinstance(made, ir.Value) else made
    if isinstance(new, Mapping):
        old, new = list(new), list(new.values())
    if isinstance(new, Sequence) and new and all(isinstance(v, ir.Value) for v in (*old, *new)):
        return old[: len(new)], list(new)
    raise RewriteError(
        f"The replacement of rule {rule.name!r} returns {made!r}.",
        where=provenance.site(match.root),
        expected='a value, a sequence of values, old values with new ones or no("why")',
        remedy="let it return the value that it built" if made is None else None,
    )


def _cannot_replace(root: ir.Node, old: _Values, new: _Values) -> No | None:
    for other in root.outputs if root.outputs[0] in old else ():
        if other not in old and (other.uses() or other.is_graph_output()):
            return No("another output of the last node is used", other)
    if root.op_type == "Identity" and not root.domain and new == list(root.inputs):
        output = root.outputs[0]
        if output.is_graph_output() and not can_be_output(new[0], output):
            return No("an output of the graph must have a node of its own", output)
    return None


class _Run:
    """The state of one run of a rewriter."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.report = RuleReport()
        self.history = History()
        self.size = sum(len(graph) for graph in graphs_in(editor.model.graph))
        self._budget = 1_000 + 50 * self.size

    def spend(self) -> None:
        """Count an application.

        Raises:
            RewriteError: There were too many.
        """
        self._budget -= 1
        if self._budget < 0:
            raise _endless(self.report)


def downstream(nodes: Iterable[ir.Node], steps: int) -> Iterator[ir.Node]:
    """Yield nodes and what reads their outputs, up to a number of steps away."""
    seen: set[ir.Node] = set()
    front = list(nodes)
    for _ in range(max(1, steps)):
        front = [node for node in dict.fromkeys(front) if node not in seen]
        seen.update(front)
        yield from front
        front = [reader for node in front for reader in node.successors()]


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

"""What a pass is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.rewrite import Miss, Rewriter, Rule


@dataclass
class PassReport:
    """What one run of a pass did.

    Attributes:
        applied: For each rule (or kind of change) the sites where it was applied.
        misses: For each rule its failed match that came furthest.
    """

    applied: dict[str, list[str]] = field(default_factory=dict)
    misses: dict[str, Miss] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """One transformation of a model. Subclasses are frozen dataclasses; their fields are options.

    Attributes:
        name: Spelling on the command line and in reports, snake_case.
    """

    name: ClassVar[str]

    def run(self, editor: Editor) -> PassReport:
        """Change the model through `editor`; a second run right after changes nothing."""
        raise NotImplementedError(type(self).__name__)


_MOST_ROUNDS = 20


def apply_stages(stages: Sequence[Sequence[Rule]], editor: Editor) -> PassReport:
    """Apply rules everywhere, stage by stage, until none of any stage matches.

    Raises:
        RewriteError: Rules of different stages undo each other.
    """
    report = PassReport()
    rewriters = [Rewriter(rules) for rules in stages if rules]
    # What a later stage does may let a rule of an earlier one match.
    for _ in range(_MOST_ROUNDS):
        changed = [_apply(rewriter, editor, report) for rewriter in rewriters]
        if not any(changed) or len(rewriters) == 1:
            return report
    raise RewriteError(
        "Fusion does not come to an end.",
        found=f"applied: {', '.join(sorted(report.applied))}",
        remedy="look for two rules of different stages that undo each other",
    )


def _apply(rewriter: Rewriter, editor: Editor, report: PassReport) -> bool:
    found = rewriter.run(editor)
    for name, sites in found.applied.items():
        report.applied.setdefault(name, []).extend(sites)
    for rule in rewriter.rules:
        report.misses.pop(rule.name, None)
    report.misses.update(found.misses)
    return bool(found.applied)


@dataclass(frozen=True)
class RulePass(Pass):
    """A pass that applies rewrite rules, stage by stage, until none matches."""

    stages: ClassVar[tuple[tuple[Rule, ...], ...]] = ()

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere."""
        return apply_stages(self.stages, editor)


@dataclass(frozen=True)
class ApplyRules(Pass):
    """Apply rules of a user's own.

    Attributes:
        rules: Which ones, in the order in which they are tried at a node.
    """

    name: ClassVar[str] = "apply_rules"
    rules: tuple[Rule, ...] = ()

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere until none matches."""
        return apply_stages([self.rules], editor)

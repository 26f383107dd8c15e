"""What a pass is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.rewrite import Miss, Rewriter, Rule, RuleReport


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


@dataclass(frozen=True)
class RulePass(Pass):
    """A pass that applies rewrite rules until none matches."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere."""
        report: RuleReport = Rewriter(self.rules).run(editor)
        return PassReport(dict(report.applied), report.misses)

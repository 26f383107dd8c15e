"""Says what a target has no good kernel for in operators that it runs well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.rewrite import Rewriter, Rule
from sardonyx.compiler.rules.group_norm import GROUP_NORM_BY_INSTANCE_NORM

CPU_KERNELS: tuple[Rule, ...] = (GROUP_NORM_BY_INSTANCE_NORM,)
"""For ONNX Runtime's CPU provider."""


@dataclass(frozen=True)
class Lower(Pass):
    """Replace operators by those that the target runs faster.

    Attributes:
        rules: Which ones; another target may want none.
    """

    rules: tuple[Rule, ...] = ()
    name: ClassVar[str] = "lower"

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere."""
        report = Rewriter(self.rules).run(editor)
        return PassReport(dict(report.applied), report.misses)

"""Decides at compile time what is known at compile time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class InlineIf(Pass):
    """Put the branch that is taken in the place of an If whose condition is a constant."""

    name: ClassVar[str] = "inline_if"

    def run(self, editor: Editor) -> PassReport:
        """Inline outer Ifs before inner ones, which then are nodes of the outer graph."""
        sites: list[str] = []
        pending = [node for node in editor.model.graph.all_nodes() if node.op_type == "If"]
        for node in pending:
            condition = constants.array(node.inputs[0], 16) if not node.domain else None
            if node.graph is None or condition is None or condition.size != 1:
                continue
            name = "then_branch" if condition.item() else "else_branch"
            branch = node.attributes[name].as_graph()
            sites.append(editor.inline_branch(node, branch, self.name).site)
        return PassReport({self.name: sites} if sites else {})

"""Removes what no output depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class RemoveDeadCode(Pass):
    """Erase nodes and initializers that nobody reads."""

    name: ClassVar[str] = "dead_code"

    def run(self, editor: Editor) -> PassReport:
        """Erase readers before what they read, so that one sweep is enough."""
        sites: list[str] = []
        for graph in graphs_in(editor.model.graph):
            for node in reversed(list(graph)):
                is_read = any(v.uses() or v.is_graph_output() for v in node.outputs)
                if node.graph is not None and not is_read:
                    sites.append(editor.erase([node], self.name).site)
        dropped = editor.drop_unread_constants()
        return PassReport(
            {self.name: sites + ["unread constant"] * dropped} if sites or dropped else {}
        )

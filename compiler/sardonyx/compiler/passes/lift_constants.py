"""One spelling for constants: initializers of the main graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class LiftConstants(Pass):
    """Turn Constant nodes, and initializers of subgraphs, into initializers of the main graph."""

    name: ClassVar[str] = "lift_constants"

    def run(self, editor: Editor) -> PassReport:
        """Lift what is held anywhere else; sparse constants and sequences stay nodes."""
        sites: list[str] = []
        for graph in graphs_in(editor.model.graph):
            for node in list(graph):
                if node.op_type != "Constant" or node.domain:
                    continue
                held = constants.tensor(node.outputs[0])
                if held is None:
                    continue
                built = editor.builder()
                made = built.constant(held)
                sites.append(editor.replace(node.outputs, [made], built, self.name).site)
            if graph is not editor.model.graph:
                sites += _lift_initializers(graph, editor)
        return PassReport({self.name: sites} if sites else {})


def _lift_initializers(graph: ir.Graph, editor: Editor) -> list[str]:
    lifted: list[str] = []
    for value in list(graph.initializers.values()):
        if not value.is_graph_input() and not value.is_graph_output():
            editor.lift_initializer(value)
            lifted.append(str(value.name))
    return lifted

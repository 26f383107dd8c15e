"""Common subexpressions: equal nodes are computed once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.scope import subgraphs
from sardonyx.compiler.ir.structure import node_key
from sardonyx.compiler.ops import Trait, find, has_trait
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class ShareCommonSubexpressions(Pass):
    """Let all readers of equal nodes read the first of them.

    Nodes are equal if they have one operator, the same operands and equal attributes. A node of
    a subgraph may be replaced by one of the graphs around it.
    """

    name: ClassVar[str] = "cse"

    def run(self, editor: Editor) -> PassReport:
        """Share within each graph and from outer graphs to inner ones."""
        sites: list[str] = []
        self._share(editor.model.graph, {}, editor, sites)
        return PassReport({self.name: sites} if sites else {})

    def _share(
        self, graph: ir.Graph, outer: dict[Hashable, ir.Node], editor: Editor, sites: list[str]
    ) -> None:
        seen = dict(outer)
        for node in list(graph):
            for inner in subgraphs(node):
                self._share(inner, seen, editor, sites)
            key = _key(node)
            first = seen.setdefault(key, node) if key is not None else node
            if first is node or any(v.is_graph_output() for v in node.outputs):
                continue
            change = editor.replace(node.outputs, first.outputs, editor.builder(), self.name)
            sites.append(change.site)


def _key(node: ir.Node) -> Hashable:
    """Return what two nodes must have in common to be equal, or None for those never shared.

    An operator that nobody described may have effects or draw at random.
    """
    if find(node) is None or _draws(node) or any(subgraphs(node)):
        return None
    return (node_key(node), tuple(not v.name for v in node.outputs))


def _draws(node: ir.Node) -> bool:
    """Say whether a node draws random numbers; a Dropout does where it trains."""
    trains = node.op_type == "Dropout" and len(node.inputs) > 2 and node.inputs[2] is not None
    return trains or has_trait(node, Trait.RANDOM)

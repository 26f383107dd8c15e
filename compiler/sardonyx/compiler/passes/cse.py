"""Common subexpressions: equal nodes are computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import onnx_ir as ir

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ops import Trait, has_trait
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
        self, graph: ir.Graph, outer: dict[Any, ir.Node], editor: Editor, sites: list[str]
    ) -> None:
        seen = dict(outer)
        for node in list(graph):
            for attr in node.attributes.values():
                for inner in _graphs(attr):
                    self._share(inner, seen, editor, sites)
            key = _key(node)
            first = seen.setdefault(key, node) if key is not None else node
            if first is node or any(v.is_graph_output() for v in node.outputs):
                continue
            change = editor.replace(node.outputs, first.outputs, editor.builder(), self.name)
            sites.append(change.site)


def _key(node: ir.Node) -> Any:
    """Return what two nodes must have in common to be equal, or None for those never shared."""
    if has_trait(node, Trait.RANDOM) or not node.outputs:
        return None
    attributes: list[Any] = []
    for attr in sorted(node.attributes.values(), key=lambda a: a.name):
        if attr.is_ref() or attr.type in {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}:
            return None
        attributes.append((attr.name, attr.type, _attribute_key(attr)))
    return (
        node.op_identifier(),
        tuple(id(v) if v is not None else None for v in node.inputs),
        tuple(attributes),
        tuple(v.name == "" for v in node.outputs),
    )


def _attribute_key(attr: ir.Attr) -> Any:
    if attr.type == ir.AttributeType.TENSOR:
        held = attr.as_tensor()
        return (held.dtype, tuple(held.shape.numpy()), held.tobytes())
    return tuple(attr.value) if isinstance(attr.value, (list, tuple)) else attr.value


def _graphs(attr: ir.Attr) -> list[ir.Graph]:
    if attr.is_ref():
        return []
    if attr.type == ir.AttributeType.GRAPH:
        return [attr.as_graph()]
    return list(attr.as_graphs()) if attr.type == ir.AttributeType.GRAPHS else []

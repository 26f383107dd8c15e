"""What raising and lowering share: names for new values, and putting new nodes for an old one."""

from __future__ import annotations

from collections.abc import MutableMapping

import onnx_ir as ir

from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.scope import subgraphs
from sardonyx.compiler.opset.step import Adapter, Step

Scope = ir.Graph | ir.Function
KnownFacts = MutableMapping[ir.Value, tuple[ir.DataType | None, ir.Shape | None]]


class Names:
    """Hands out value and node names that a graph and its subgraphs do not use yet."""

    def __init__(self, scope: Scope) -> None:
        graph = scope.graph if isinstance(scope, ir.Function) else scope
        self._used: set[str | None] = set()
        for inner in (graph, *graph.subgraphs()):
            self._used.update(v.name for v in (*inner.inputs, *inner.initializers.values()))
            for node in inner:
                self._used.add(node.name)
                self._used.update(v.name for v in node.outputs)

    def fresh(self, base: str) -> str:
        """Return `base`, with a number if it is taken."""
        name, serial = base, 1
        while name in self._used:
            serial += 1
            name = f"{base}.{serial}"
        self._used.add(name)
        return name


def scopes(model: ir.Model) -> list[Scope]:
    """Return the main graph and the functions of a model."""
    return [model.graph, *model.functions.values()]


def apply(adapter: Adapter, step: Step, facts: KnownFacts, names: Names, rule: str) -> None:
    """Put what an adapter makes in the place of the node of its step.

    Outputs keep their names and types; the new nodes carry the provenance of the old one.
    """
    node, graph = step.node, step.node.graph
    assert graph is not None, "only nodes of a graph are converted"
    result = adapter(step)
    new = [result] if isinstance(result, ir.Value) else list(result)
    _name(step, names)
    for made in step.made:
        made.metadata_props.update(node.metadata_props)
    provenance.merge(step.made, [node], rule)
    step.made[-1].name = node.name
    graph.insert_before(node, step.made)
    for before, after in zip(node.outputs, new, strict=True):
        if after is not None:
            _replace(before, after, facts)
    graph.remove(node, safe=True)


def _name(step: Step, names: Names) -> None:
    base = next((v.name for v in step.node.outputs if v.name), step.node.op_type)
    for made in step.made:
        made.name = names.fresh(f"{step.node.name or base}.{made.op_type}")
        for value in made.outputs:
            value.name = names.fresh(f"{base}.{made.op_type.lower()}")
        for graph in subgraphs(made):
            _name_inside(graph, names)


def _name_inside(graph: ir.Graph, names: Names) -> None:
    """Values that an adapter put into a new subgraph carry names that may be taken."""
    for value in (*graph.inputs, *(v for node in graph for v in node.outputs)):
        if value.name is not None and value.name.endswith(".sample"):
            value.name = names.fresh(value.name)


def _replace(before: ir.Value, after: ir.Value, facts: KnownFacts) -> None:
    name = before.name
    before.name = None
    before.replace_all_uses_with(after, replace_graph_outputs=True)
    after.name = name
    after.type = before.type
    after.shape = before.shape
    after.metadata_props.update(before.metadata_props)
    if before in facts:
        facts[after] = facts[before]

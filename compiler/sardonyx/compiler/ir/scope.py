"""The scopes of a model: each graph with the values it defines and the graphs around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


@dataclass
class Scope:
    """One graph or function body.

    Attributes:
        model: The model it is part of.
        graph: The graph.
        function: The function whose body it is part of, or None.
        parent: The scope of the graph around it, or None.
        owner: Position, in the parent, of the node whose subgraph it is.
        path: Where it is, in words: "main", "main/If.then_branch".
        nodes: Its nodes in order.
        positions: Where each value is defined: -1 for inputs and initializers, else the position
            of the node that makes it.
        names: The value that first took each name.
        graphs: All graphs of the model; the scopes of a model share this.
    """

    model: ir.Model
    graph: ir.Graph
    function: ir.Function | None
    parent: Scope | None
    owner: int
    path: str
    graphs: set[ir.Graph] = field(default_factory=set)
    nodes: list[ir.Node] = field(default_factory=list)
    positions: dict[ir.Value, int] = field(default_factory=dict)
    names: dict[str, ir.Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graphs.add(self.graph)
        self.nodes = list(self.graph)
        for value in (*self.graph.inputs, *self.graph.initializers.values()):
            self.positions[value] = -1
            if value.name:
                self.names.setdefault(value.name, value)
        for position, node in enumerate(self.nodes):
            for value in node.outputs:
                self.positions.setdefault(value, position)
                if value.name:
                    self.names.setdefault(value.name, value)

    @property
    def opsets(self) -> dict[str, int]:
        """The opset imports that hold here."""
        return (self.function or self.model).opset_imports

    def sees(self, value: ir.Value, before: int) -> bool:
        """Say whether a value is defined before a position, here or in a graph around."""
        scope: Scope | None = self
        while scope is not None:
            position = scope.positions.get(value)
            if position is not None:
                return position < before
            before, scope = scope.owner, scope.parent
        return False

    def outer(self, name: str) -> ir.Value | None:
        """Return the value of that name which the graphs around let this one see, or None."""
        scope = self
        while scope.parent is not None:
            value = scope.parent.names.get(name)
            if value is not None and scope.parent.positions[value] < scope.owner:
                return value
            scope = scope.parent
        return None


def scopes(model: ir.Model) -> Iterator[Scope]:
    """Yield the scopes of a model: the main graph, functions, and the subgraphs of each."""
    graphs: set[ir.Graph] = set()
    yield from _nested(Scope(model, model.graph, None, None, 0, "main", graphs))
    for function in model.functions.values():
        name = f"function {function.domain}.{function.name}"
        yield from _nested(Scope(model, function.graph, function, None, 0, name, graphs))


def _nested(scope: Scope) -> Iterator[Scope]:
    yield scope
    for position, node in enumerate(scope.nodes):
        for attribute in node.attributes.values():
            for graph in subgraphs_of(attribute):
                path = f"{scope.path}/{node.op_type}.{attribute.name}"
                yield from _nested(
                    Scope(scope.model, graph, scope.function, scope, position, path, scope.graphs)
                )


def graphs_in(graph: ir.Graph) -> Iterator[ir.Graph]:
    """Yield a graph and all graphs within it, each before those within itself."""
    yield graph
    for node in graph:
        for inner in subgraphs(node):
            yield from graphs_in(inner)


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Yield the graphs in the attributes of a node."""
    for attribute in node.attributes.values():
        if attribute.type in _GRAPHS:
            yield from subgraphs_of(attribute)


def subgraphs_of(attribute: ir.Attr) -> tuple[ir.Graph, ...]:
    """Return the graphs that an attribute holds."""
    if attribute.is_ref():
        return ()
    if attribute.type == ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    return attribute.as_graphs() if attribute.type == ir.AttributeType.GRAPHS else ()

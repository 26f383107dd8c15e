"""Well-formedness of values: names, scopes, definitions, uses, graph outputs, initializers."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from sardonyx.compiler.ir.scope import Scope, subgraphs_of
from sardonyx.compiler.ir.types import describe
from sardonyx.compiler.ir.violation import Violation


def named(scope: Scope) -> Iterator[Violation]:
    """Every value that is read, or is an input, initializer or output of a graph, has a name."""
    graph = scope.graph
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for index, value in enumerate(values):
            if not value.name:
                yield Violation(f"Graph {kind} {index} has no name.", scope, value.producer())
    for node in scope.nodes:
        for index, value in enumerate(node.outputs):
            if not value.name and value.uses():
                yield Violation(f"Output {index} of the node is read but has no name.", scope, node)


def unique_names(scope: Scope) -> Iterator[Violation]:
    """No two values of a scope share a name, and none has the name of a visible outer value."""
    for value, position in scope.positions.items():
        if not value.name:
            continue
        node = scope.nodes[position] if position >= 0 else None
        if scope.names[value.name] is not value:
            what = f"Two values are called {value.name!r}."
            other = scope.names[value.name]
            yield Violation(what, scope, node, describe(value), f"not also {describe(other)}")
        if scope.parent is not None and (hidden := scope.outer(value.name)) is not None:
            what = f"{value.name!r} hides a value of that name in the graph around it."
            yield Violation(what, scope, node, describe(value), f"not also {describe(hidden)}")


def defined_before_use(scope: Scope) -> Iterator[Violation]:
    """A node reads only what is defined before it, in its graph or in one around it."""
    for position, node in enumerate(scope.nodes):
        for index, value in enumerate(node.inputs):
            if value is None or scope.positions.get(value, position) < position:
                continue
            if scope.sees(value, position):
                continue
            made_here = scope.positions.get(value)
            found = describe(value) + (
                ", which nothing defines" if value.graph is None else f" of graph {_name(value)!r}"
            )
            if made_here is not None:
                found = f"{describe(value)}, which node {made_here} makes"
            yield Violation(
                f"Operand {index} is read before it is defined.",
                scope,
                node,
                found,
                f"a value that the nodes before node {position}, or the graphs around, define",
            )


def one_producer(scope: Scope) -> Iterator[Violation]:
    """Each value is made in one place, and node, value and graph agree on which."""
    for value in (*scope.graph.inputs, *scope.graph.initializers.values()):
        if (producer := value.producer()) is not None:
            what = f"{value.name!r} is an input or initializer, and a node makes it too."
            yield Violation(what, scope, producer)
    for node in scope.nodes:
        if node.graph is not scope.graph:
            yield Violation("The node says that it is in another graph.", scope, node)
        for index, value in enumerate(node.outputs):
            if value.producer() is not node or value.index() != index:
                found = f"{describe(value)}: output {value.index()} of {value.producer()!r}"
                yield Violation(f"Output {index} says that another makes it.", scope, node, found)


def uses_agree(scope: Scope) -> Iterator[Violation]:
    """A value lists exactly the operands that read it, and their nodes are in a graph."""
    for node in scope.nodes:
        for index, value in enumerate(node.inputs):
            if value is not None and (node, index) not in value.uses():
                what = f"Operand {index} does not list the node among its readers."
                yield Violation(what, scope, node, describe(value))
    for value, position in scope.positions.items():
        producer = scope.nodes[position] if position >= 0 else None
        for user, index in value.uses():
            if user.graph not in scope.graphs:
                what = f"{value.name!r} lists a reader that is not in the model."
            elif index >= len(user.inputs) or user.inputs[index] is not value:
                what = f"{value.name!r} lists a reader that does not read it."
            else:
                continue
            yield Violation(what, scope, producer, f"{user.op_type} {user.name!r}, operand {index}")


def graph_outputs(scope: Scope) -> Iterator[Violation]:
    """A graph output is made by a node of its graph, or is an input or initializer of it."""
    for index, value in enumerate(scope.graph.outputs):
        if value not in scope.positions:
            yield Violation(
                f"Graph output {index} is not defined in its graph.",
                scope,
                None,
                describe(value),
                "a value that a node of the graph makes, or an input or initializer of it"
                "; for a value of the graph around: an Identity of it",
            )


def outputs_listed_once(scope: Scope) -> Iterator[Violation]:
    """No value is listed twice among the outputs of a graph."""
    if len(set(scope.graph.outputs)) == len(scope.graph.outputs):
        return
    listed: dict[ir.Value, int] = {}
    for index, value in enumerate(scope.graph.outputs):
        first = listed.setdefault(value, index)
        if first != index:
            what = f"Graph outputs {first} and {index} are one value."
            yield Violation(what, scope, value.producer(), describe(value), "an Identity of it")


def initializers(scope: Scope) -> Iterator[Violation]:
    """An initializer holds a tensor, and has the name, dtype and shape that its value says."""
    for name, value in scope.graph.initializers.items():
        held = value.const_value
        if value.name != name or value.graph is not scope.graph:
            yield Violation(f"Initializer {name!r} is filed under another's name.", scope)
        if held is None:
            yield Violation(f"Initializer {name!r} holds no tensor.", scope)
            continue
        is_typed = value.dtype is None or value.dtype == held.dtype
        if not is_typed or not _agrees(value.shape, held.shape):
            dims = ", ".join(map(str, held.shape))
            found = f"a tensor {held.dtype.name.lower()}[{dims}]"
            what = f"Initializer {name!r} holds a tensor of another type."
            yield Violation(what, scope, None, found, describe(value))


def interface_types(scope: Scope) -> Iterator[Violation]:
    """The inputs of the main graph have a type."""
    if scope.parent is not None or scope.function is not None:
        return
    for value in scope.graph.inputs:
        if value.type is None or value.dtype == ir.DataType.UNDEFINED:
            yield Violation(f"Graph input {value.name!r} has no type.", scope)


def nothing_dead(scope: Scope) -> Iterator[Violation]:
    """Every node and initializer is read or is a graph output."""
    for node in scope.nodes:
        if not any(v.uses() or v.is_graph_output() for v in node.outputs):
            yield Violation("Nobody reads what the node makes.", scope, node)
    for value in scope.graph.initializers.values():
        if not (value.uses() or value.is_graph_output() or value.is_graph_input()):
            yield Violation(f"Nobody reads initializer {value.name!r}.", scope)


def subgraphs_owned_once(scope: Scope) -> Iterator[Violation]:
    """A graph is the body of one node only."""
    if scope.parent is not None or scope.function is not None:
        return
    owners: dict[ir.Graph, ir.Node] = {}
    for node in scope.graph.all_nodes():
        for attribute in node.attributes.values():
            for graph in subgraphs_of(attribute):
                if owners.setdefault(graph, node) is not node:
                    what = f"Subgraph {attribute.name!r} is also that of another node."
                    yield Violation(what, scope, node, f"{owners[graph].name!r}")


def _agrees(declared: ir.Shape | None, held: ir.ShapeProtocol) -> bool:
    if declared is None:
        return True
    dims = held.numpy()
    return len(declared) == len(dims) and all(
        not isinstance(a, int) or a == b for a, b in zip(declared, dims, strict=True)
    )


def _name(value: ir.Value) -> str | None:
    return value.graph.name if value.graph is not None else None

"""Well-formedness of what contains nodes: bodies of control flow, and model-local functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from sardonyx.compiler.ir.scope import Scope
from sardonyx.compiler.ir.violation import Violation

_Counts = tuple[int, int]
"""How many inputs and outputs a body has."""


def _if(node: ir.Node) -> _Counts:
    return 0, len(node.outputs)


def _loop(node: ir.Node) -> _Counts:
    # The body takes the iteration number and the condition first, and gives the condition first.
    return len(node.inputs), 1 + len(node.outputs)


def _scan(node: ir.Node) -> _Counts:
    return len(node.inputs), len(node.outputs)


def _sequence_map(node: ir.Node) -> _Counts:
    return len(node.inputs), len(node.outputs)


# Operator, the first version that the counts hold for, and the counts of its bodies.
_BODIES: dict[str, tuple[int, Callable[[ir.Node], _Counts]]] = {
    "If": (1, _if),
    "Loop": (1, _loop),
    "Scan": (9, _scan),
    "SequenceMap": (17, _sequence_map),
}


def body_signatures(scope: Scope) -> Iterator[Violation]:
    """The body of a control flow operator has the inputs and outputs that the operator demands."""
    for node in scope.nodes:
        since, counts = _BODIES.get(node.op_type, (1 << 30, _if))
        if node.domain or scope.opsets.get("", 1) < since:
            continue
        expected = counts(node)
        for attribute in node.attributes.values():
            if attribute.type != ir.AttributeType.GRAPH or attribute.is_ref():
                continue
            body = attribute.as_graph()
            found = (len(body.inputs), len(body.outputs))
            if node.op_type == "Loop" and len(node.inputs) < 2:
                continue
            if found != expected:
                what = f"Subgraph {attribute.name!r} of {node.op_type} has the wrong signature."
                yield Violation(what, scope, node, _words(found), _words(expected))
            else:
                yield from _dtypes(scope, node, attribute.name, body)


def _dtypes(scope: Scope, node: ir.Node, name: str, body: ir.Graph) -> Iterator[Violation]:
    skipped = len(body.outputs) - len(node.outputs)
    if node.op_type == "SequenceMap":
        return
    for index, outer in enumerate(node.outputs):
        inner = body.outputs[index + skipped]
        if inner.type is None or outer.type is None or inner.type == outer.type:
            continue
        # An optional output may be declared as such outside only.
        if isinstance(outer.type, ir.OptionalType) or isinstance(inner.type, ir.OptionalType):
            continue
        what = f"Output {index} of subgraph {name!r} has another type than the node's."
        yield Violation(what, scope, node, str(inner.type), str(outer.type))


def functions(scope: Scope) -> Iterator[Violation]:
    """Functions are not of the standard domain, do not call themselves, and exist when called."""
    model = scope.model
    if scope.parent is None and scope.function is not None and not scope.function.domain:
        what = f"Function {scope.function.name!r} is in the domain of the standard operators."
        yield Violation(what, scope, expected="a domain of its own")
    for node in scope.nodes:
        if node.overload and node.op_identifier() not in model.functions:
            what = f"There is no function {node.domain}.{node.op_type}:{node.overload}."
            yield Violation(what, scope, node)
    if scope.parent is None and scope.function is not None:
        own = scope.function.identifier()
        cycle = _path_back(model, own)
        if cycle:
            yield Violation("The function calls itself.", scope, None, " -> ".join(cycle))


def _path_back(model: ir.Model, start: ir.OperatorIdentifier) -> list[str]:
    """Return the calls that lead from a function back to it; empty where none do."""
    pending = [(start, [f"{start[0]}.{start[1]}"])]
    seen = set()
    while pending:
        current, path = pending.pop()
        for node in model.functions[current].all_nodes():
            called = node.op_identifier()
            if called not in model.functions:
                continue
            longer = [*path, f"{called[0]}.{called[1]}"]
            if called == start:
                return longer
            if called not in seen:
                seen.add(called)
                pending.append((called, longer))
    return []


def attribute_references(scope: Scope) -> Iterator[Violation]:
    """An attribute refers only to an attribute of the function it is in."""
    for node in scope.nodes:
        for attribute in node.attributes.values():
            if not attribute.is_ref():
                continue
            name = attribute.ref_attr_name
            if scope.function is None:
                what = f"Attribute {attribute.name!r} refers to {name!r} outside of a function."
                yield Violation(what, scope, node)
            elif name not in scope.function.attributes:
                what = f"Attribute {attribute.name!r} refers to {name!r}, which does not exist."
                known = ", ".join(scope.function.attributes) or "none"
                yield Violation(what, scope, node, expected=known)


def _words(counts: _Counts) -> str:
    return f"{counts[0]} inputs and {counts[1]} outputs"

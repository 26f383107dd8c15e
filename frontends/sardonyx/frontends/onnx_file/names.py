"""Names and provenance of an imported model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import onnx_ir as ir

from sardonyx.compiler.ir import provenance

_TORCH_SCOPES = "pkg.torch.onnx.name_scopes"


def _scopes(model: ir.Model) -> Iterator[list[ir.Graph]]:
    """Yield the graphs that share one space of names: a main graph or function, and its inner."""
    for scope in (model.graph, *(f.graph for f in model.functions.values())):
        yield [scope, *scope.subgraphs()]


def make_unique(model: ir.Model) -> None:
    """Rename values and nodes whose names are taken; inputs and outputs of a model keep theirs.

    Subgraphs of files may reuse names of the graph around them, and inlined functions do.
    A left out output keeps its empty name.
    """
    for graphs in _scopes(model):
        used: dict[str, ir.Value] = {}
        for value in (*graphs[0].inputs, *graphs[0].outputs):
            if value.name:
                used.setdefault(value.name, value)
        for graph in graphs:
            for value in _values(graph):
                _claim(value, used)
        _unique_nodes(graphs)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from list(graph.initializers.values())
    for node in graph:
        yield from node.outputs


def _claim(value: ir.Value, used: dict[str, ir.Value]) -> None:
    if value.name is None or (not value.name and not value.uses()):
        return
    base = name = value.name or "value"
    serial = 1
    while used.setdefault(name, value) is not value:
        serial += 1
        name = f"{base}.{serial}"
    if name != value.name:
        value.name = name


def _unique_nodes(graphs: list[ir.Graph]) -> None:
    used: set[str] = set()
    for node in (node for graph in graphs for node in graph):
        base = name = node.name or _unnamed(node)
        serial = 1
        while name in used:
            serial += 1
            name = f"{base}.{serial}"
        used.add(name)
        node.name = name


def _unnamed(node: ir.Node) -> str:
    return f"{node.op_type}.{node.outputs[0].name}" if node.outputs else node.op_type


def record_sources(model: ir.Model) -> None:
    """Write on each node where it comes from, unless the file says so already.

    That is the module path that PyTorch's exporter left, or else the node's name, or else its
    operator and number.
    """
    for graphs in _scopes(model):
        for graph in graphs:
            for index, node in enumerate(graph):
                if not provenance.sources(node):
                    name = _module_path(node) or node.name or f"{node.op_type}_{index}"
                    provenance.set_source(node, name)


def _module_path(node: ir.Node) -> str | None:
    """Return the innermost module of a node that PyTorch's exporter wrote."""
    text = node.metadata_props.get(_TORCH_SCOPES)
    if text is None:
        return None
    try:
        scopes = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    if not isinstance(scopes, list):
        return None
    modules = [scope for scope in scopes[:-1] if isinstance(scope, str) and scope]
    return modules[-1] if modules else None

"""Names and provenance of an imported model."""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx_ir as ir

from sardonyx.compiler.ir import provenance

_TORCH_SCOPES = "pkg.torch.onnx.name_scopes"
_OURS = "sardonyx."
_QUOTED = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_MOST_CHARACTERS = 10_000


def _scopes(model: ir.Model) -> Iterator[list[ir.Graph]]:
    """Yield the graphs that share one space of names: a main graph or function, and its inner."""
    for scope in (model.graph, *(f.graph for f in model.functions.values())):
        yield [scope, *scope.subgraphs()]


class _Names:
    """Names that are taken; another one is found in one step, however many are alike."""

    def __init__(self) -> None:
        self._taken: dict[str, object] = {}
        self._serial: dict[str, int] = {}

    def reserve(self, name: str, owner: object) -> None:
        """Note that a name is taken, unless it is already."""
        self._taken.setdefault(name, owner)

    def claim(self, base: str, owner: object) -> str:
        """Return a name for its owner: the one it would like, or that with a number."""
        name, serial = base, self._serial.get(base, 1)
        while self._taken.setdefault(name, owner) is not owner:
            serial += 1
            name = f"{base}.{serial}"
        self._serial[base] = serial
        return name


def make_unique(model: ir.Model) -> None:
    """Rename values and nodes whose names are taken; inputs and outputs of a model keep theirs.

    Subgraphs of files may reuse names of the graph around them, and inlined functions do.
    A left out output keeps its empty name.
    """
    for graphs in _scopes(model):
        used = _Names()
        for value in (*graphs[0].inputs, *graphs[0].outputs):
            if value.name:
                used.reserve(value.name, value)
        for graph in graphs:
            for value in _values(graph):
                _claim(value, used)
        _unique_nodes(graphs)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from list(graph.initializers.values())
    for node in graph:
        yield from node.outputs


def _claim(value: ir.Value, used: _Names) -> None:
    if value.name is None or (not value.name and not value.uses()):
        return
    name = used.claim(value.name or "value", value)
    if name != value.name:
        value.name = name


def _unique_nodes(graphs: list[ir.Graph]) -> None:
    used = _Names()
    for node in (node for graph in graphs for node in graph):
        node.name = used.claim(node.name or _unnamed(node), node)


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
                _forget_odd_notes(node)
                if not provenance.sources(node):
                    name = _module_path(node) or node.name or f"{node.op_type}_{index}"
                    provenance.set_source(node, name)


def _forget_odd_notes(node: ir.Node) -> None:
    """Drop notes of ours that a file cannot have, or that cannot be printed."""
    for key in [key for key in node.metadata_props if key.startswith(_OURS)]:
        text = node.metadata_props[key]
        is_plain = len(text) <= _MOST_CHARACTERS and text.isprintable()
        if key == provenance.SITES or not is_plain:
            del node.metadata_props[key]


def _module_path(node: ir.Node) -> str | None:
    """Return the innermost module of a node that PyTorch's exporter wrote.

    That is a list of texts as Python writes it. It is not evaluated: it comes from a file.
    """
    text = node.metadata_props.get(_TORCH_SCOPES, "")
    is_list = text.startswith("[") and text.endswith("]") and text.isprintable()
    if len(text) > _MOST_CHARACTERS or not is_list:
        return None
    scopes = [single or double for single, double in _QUOTED.findall(text)]
    modules = [scope for scope in scopes[:-1] if scope]
    return modules[-1] if modules else None

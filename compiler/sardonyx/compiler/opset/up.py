"""Raises models to a newer opset, node by node and step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError, SardonyxError, UnsupportedError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ir.types import Types, all_values
from sardonyx.compiler.opset import history
from sardonyx.compiler.opset.step import Facts, Step
from sardonyx.compiler.opset.table import UP

OLDEST_OPSET = 6
"""The oldest opset that can be raised."""

_ALIAS = "ai.onnx"
_RULE = "raise_opset"
Scope = ir.Graph | ir.Function


def raise_opset(model: ir.Model, to: int = CANONICAL_OPSET) -> ir.Model:
    """Bring a model of an older opset to a newer one, in place.

    Nodes in subgraphs and function bodies come along; each function starts from the opset that
    it imports. Nodes of other domains stay as they are.

    Args:
        model: The model; opset 6 or newer.
        to: The opset of the standard domain to reach; not older than the model's.

    Raises:
        UnsupportedError: The model is older than opset 6, or a node has no newer form.
        InvalidModelError: A node's operator does not exist in the model's opset.
    """
    stamp_versions(model)
    return raise_stamped(model, to)


def stamp_versions(model: ir.Model) -> None:
    """Write on each node of the standard domain the opset that its graph or function imports.

    Bodies of functions can be inlined afterwards without losing what their nodes mean.

    Raises:
        InvalidModelError: There are standard nodes, but no opset is imported for them.
        UnsupportedError: The opset is too old, or newer than the installed onnx knows.
    """
    for scope in (model.graph, *model.functions.values()):
        imports = scope.opset_imports
        if _ALIAS in imports:
            imports.setdefault("", imports.pop(_ALIAS))
        opset = imports.get("")
        nodes = [node for node in scope.all_nodes() if node.domain == ""]
        if nodes and opset is None:
            raise InvalidModelError(
                "The model uses standard operators without importing an opset for them.",
                where=provenance.site(nodes[0]),
                remedy="add an opset_import entry for the domain ''",
            )
        if opset is not None:
            _check_opset(opset)
        for node in nodes:
            node.version = opset


def _check_opset(opset: int) -> None:
    newest = history.newest_opset()
    if OLDEST_OPSET <= opset <= newest:
        return
    raise UnsupportedError(
        f"Opset {opset} is not supported.",
        expected=f"an opset from {OLDEST_OPSET} to {newest}",
        remedy="export the model again with a supported opset"
        if opset < OLDEST_OPSET
        else "install a newer onnx package if this opset exists",
    )


def raise_stamped(model: ir.Model, to: int) -> ir.Model:
    """Bring nodes that carry their version to one opset; see `raise_opset`."""
    facts = _inferred_facts(model) if _has_adapters(model, to) else {}
    for scope in (model.graph, *model.functions.values()):
        _Raiser(to, facts, _Names(scope)).scope(scope)
        if scope is model.graph or "" in scope.opset_imports:
            scope.opset_imports[""] = to
    model.ir_version = max(model.ir_version, ir_version_of(to))
    return model


def ir_version_of(opset: int) -> int:
    """Return the IR version that came out together with an opset of the standard domain."""
    found = [row[1] for row in onnx.helper.VERSION_TABLE if int(row[2]) >= opset]
    return int(found[0]) if found else int(onnx.IR_VERSION)


def _has_adapters(model: ir.Model, to: int) -> bool:
    steps: dict[str, list[int]] = {}
    for op_type, new in UP:
        steps.setdefault(op_type, []).append(new)
    return any(
        node.domain == ""
        and any(node.version is not None and node.version < new <= to for new in known)
        for node in model.graph.all_nodes()
        if (known := steps.get(node.op_type))
    )


def _inferred_facts(model: ir.Model) -> Facts:
    """Infer dtypes and shapes on a copy, so that guesses about old operators leave no trace."""
    imported = model.opset_imports.get("")
    if any(n.version != imported for n in model.graph.all_nodes() if n.domain == ""):
        return {}  # Inlined from functions of another opset: inference would misread them.
    try:
        copy = model.clone()
        Types.inferred(copy)
    except SardonyxError:
        return {}
    pairs = zip(all_values(model), all_values(copy), strict=True)
    return {value: (twin.dtype, twin.shape) for value, twin in pairs}


class _Names:
    """Hands out value names that a graph and its subgraphs do not use yet."""

    def __init__(self, scope: Scope) -> None:
        graph = scope.graph if isinstance(scope, ir.Function) else scope
        self._used: set[str | None] = set()
        for inner in (graph, *graph.subgraphs()):
            self._used.update(v.name for v in (*inner.inputs, *inner.initializers.values()))
            self._used.update(v.name for node in inner for v in node.outputs)

    def fresh(self, base: str) -> str:
        name, serial = base, 1
        while name in self._used:
            serial += 1
            name = f"{base}.{serial}"
        self._used.add(name)
        return name


class _Raiser:
    """Walks one graph or function."""

    def __init__(self, to: int, facts: Facts, names: _Names) -> None:
        self._to = to
        self._facts = dict(facts)
        self._names = names

    def scope(self, scope: Scope) -> None:
        for node in list(scope):
            for graph in _subgraphs(node):
                self.scope(graph)
            if node.domain == "":
                self._raise(node)

    def _raise(self, node: ir.Node) -> None:
        pending = [node]
        while pending:
            node = pending.pop()
            if node.version is None:
                continue
            bump = self._next_bump(node)
            while bump is not None and (bump.op_type, bump.new) not in UP:
                node.version = bump.new
                bump = self._next_bump(node)
            if bump is None:
                node.version = None
            else:
                pending.extend(self._apply(node, bump))

    def _next_bump(self, node: ir.Node) -> history.Bump | None:
        version = node.version
        assert version is not None, "only stamped nodes are raised"
        schema = history.at(node.op_type, version)
        if schema is None or (schema.deprecated and schema.since_version <= version):
            raise _unknown(node, version)
        bump = history.next_bump(node.op_type, version)
        return bump if bump is not None and bump.new <= self._to else None

    def _apply(self, node: ir.Node, bump: history.Bump) -> list[ir.Node]:
        step = Step(node, bump, bump.new, self._facts)
        result = UP[bump.op_type, bump.new](step)
        new = [result] if isinstance(result, ir.Value) else list(result)
        self._name(step)
        for made in step.made:
            made.metadata_props.update(node.metadata_props)
        provenance.merge(step.made, [node], _RULE)
        step.made[-1].name = node.name
        assert node.graph is not None
        node.graph.insert_before(node, step.made)
        for before, after in zip(node.outputs, new, strict=True):
            if after is not None:
                self._replace(before, after)
        node.graph.remove(node, safe=True)
        for graph in (graph for made in step.made for graph in _subgraphs(made)):
            self.scope(graph)
        return step.made

    def _name(self, step: Step) -> None:
        base = next((v.name for v in step.node.outputs if v.name), step.node.op_type)
        for made in step.made:
            made.name = self._names.fresh(f"{step.node.name or base}.{made.op_type}")
            for value in made.outputs:
                value.name = self._names.fresh(f"{base}.{made.op_type.lower()}")
            for graph in _subgraphs(made):
                self._name_inside(graph)

    def _name_inside(self, graph: ir.Graph) -> None:
        """Values that an adapter put into a new subgraph carry names that may be taken."""
        for value in (*graph.inputs, *(v for node in graph for v in node.outputs)):
            if value.name is not None and value.name.endswith(".sample"):
                value.name = self._names.fresh(value.name)

    def _replace(self, before: ir.Value, after: ir.Value) -> None:
        name = before.name
        before.name = None
        before.replace_all_uses_with(after, replace_graph_outputs=True)
        after.name = name
        after.type = before.type
        after.shape = before.shape
        after.metadata_props.update(before.metadata_props)
        if before in self._facts:
            self._facts[after] = self._facts[before]


def _subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attr in node.attributes.values():
        if attr.is_ref():
            continue
        if attr.type == ir.AttributeType.GRAPH:
            yield attr.as_graph()
        elif attr.type == ir.AttributeType.GRAPHS:
            yield from attr.as_graphs()


def _unknown(node: ir.Node, version: int) -> SardonyxError:
    known: Sequence[history.Schema] = history.versions(node.op_type)
    if not known:
        return UnsupportedError(
            f"{node.op_type} is no operator of the standard domain.",
            where=provenance.site(node),
            remedy="give it a domain of its own, or define it as a model-local function",
        )
    first = known[0].since_version
    return InvalidModelError(
        f"{node.op_type} is no operator of opset {version}.",
        where=provenance.site(node),
        expected=f"opset {first} or newer"
        if first > version
        else f"an opset before {next(s.since_version for s in known if s.deprecated)}",
    )

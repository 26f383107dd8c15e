"""Raises models to a newer opset, node by node and step by step."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError, SardonyxError, UnsupportedError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.schema import is_standard
from sardonyx.compiler.ir.scope import subgraphs
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ir.types import Types, all_values
from sardonyx.compiler.opset import history, rewrite
from sardonyx.compiler.opset.down import lower_stamped
from sardonyx.compiler.opset.rewrite import Names, Scope
from sardonyx.compiler.opset.step import Facts, Step
from sardonyx.compiler.opset.table import UP

OLDEST_OPSET = 1
"""The oldest opset that can be raised; before opset 6, only nodes whose form never changed."""
_COMPLETE_SINCE = 6
_IN_PLACE = "consumed_inputs"

_ALIAS = "ai.onnx"
_RULE = "raise_opset"


def raise_opset(model: ir.Model, to: int = CANONICAL_OPSET) -> ir.Model:
    """Bring a model to one opset, from older ones in place.

    Nodes in subgraphs and function bodies come along; each function starts from the opset that
    it imports. Nodes of other domains stay as they are. A model of a newer opset is brought down
    if every node can be written in `to`, and keeps its opset otherwise.

    Args:
        model: The model. Below opset 6, operators whose form changed up to there are refused.
        to: The opset of the standard domain to reach.

    Returns:
        The model, which is a copy if it was brought down.

    Raises:
        UnsupportedError: A node has no newer form, or the opset is not known.
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
    for scope in rewrite.scopes(model):
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
    if any(v > to for v in _versions(model)):
        try:
            model = lower_stamped(model, to)
        except UnsupportedError:
            to = max(_versions(model))
    facts = _inferred_facts(model) if _has_adapters(model, to) else {}
    for scope in rewrite.scopes(model):
        _Raiser(to, facts, Names(scope)).scope(scope)
        if scope is model.graph or "" in scope.opset_imports:
            scope.opset_imports[""] = to
    model.ir_version = max(model.ir_version, ir_version_of(to))
    return model


def _versions(model: ir.Model) -> set[int]:
    nodes = (node for scope in rewrite.scopes(model) for node in scope.all_nodes())
    return {node.version for node in nodes if node.domain == "" and node.version is not None}


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


class _Raiser:
    """Walks one graph or function."""

    def __init__(self, to: int, facts: Facts, names: Names) -> None:
        self._to = to
        self._facts = dict(facts)
        self._names = names

    def scope(self, scope: Scope) -> None:
        for node in list(scope):
            for graph in subgraphs(node):
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
                _check_ancient(node, bump)
                node.version = bump.new
                bump = self._next_bump(node)
            if bump is None:
                node.version = None
            else:
                pending.extend(self._apply(node, bump))

    def _next_bump(self, node: ir.Node) -> history.Bump | None:
        version = node.version
        assert version is not None, "only stamped nodes are raised"
        if not is_standard(node.domain, node.op_type):
            return None
        schema = history.at(node.op_type, version)
        bump = history.next_bump(node.op_type, version)
        if schema is None or (schema.deprecated and bump is None):
            raise _unknown(node, version)
        return bump if bump is not None and bump.new <= self._to else None

    def _apply(self, node: ir.Node, bump: history.Bump) -> list[ir.Node]:
        step = Step(node, bump, bump.new, self._facts)
        rewrite.apply(UP[bump.op_type, bump.new], step, self._facts, self._names, _RULE)
        for graph in (graph for made in step.made for graph in subgraphs(made)):
            self.scope(graph)
        return step.made


def _check_ancient(node: ir.Node, bump: history.Bump) -> None:
    """Up to opset 6 there are no adapters: only the in-place marks of opset 1 can be dropped."""
    if bump.new > _COMPLETE_SINCE:
        return
    node.attributes.pop(_IN_PLACE, None)
    changes = history.difference(bump).other
    if any(_IN_PLACE not in change for change in changes):
        raise UnsupportedError(
            f"{node.op_type} of opset {bump.old} is too old: {'; '.join(changes)}.",
            where=provenance.site(node),
            expected=f"opset {bump.new} or newer",
            remedy="export the model again with a newer opset",
        )


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

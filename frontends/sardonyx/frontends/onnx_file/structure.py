"""Checks of the shape of a model file: names, order, cycles, functions, versions.

onnx_ir builds graphs out of files with cycles, missing inputs or recursive functions without a
word, so these are caught before. The checks of one model run in the order of `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import onnx

from sardonyx.compiler.errors import InvalidModelError, SardonyxError, UnsupportedError
from sardonyx.frontends.onnx_file.calls import check_calls
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.text import check_text
from sardonyx.frontends.onnx_file.value_types import check_types
from sardonyx.frontends.onnx_file.walk import subgraphs
from sardonyx.frontends.onnx_file.where import node_place, quoted, scope_name

_STANDARD = ("", "ai.onnx")


@dataclass
class Findings:
    """What the checks may allow, and what they learn about a model on the way.

    Attributes:
        limits: What a model may hold.
        is_sorted: Every node comes after those whose outputs it reads.
    """

    limits: Limits = field(default_factory=Limits)
    is_sorted: bool = True


@dataclass
class _Scope:
    """The names that a graph or function defines, and the scope around it."""

    label: str
    outer: _Scope | None
    given: set[str] = field(default_factory=set)
    maker: dict[str, int] = field(default_factory=dict)

    def defines(self, name: str) -> bool:
        return name in self.given or name in self.maker

    def is_outer(self, name: str) -> bool:
        return self.outer is not None and self.outer.sees(name)

    def sees(self, name: str) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            if scope.defines(name):
                return True
            scope = scope.outer
        return False


def check_structure(model: onnx.ModelProto, label: str, limits: Limits) -> Findings:
    """Check everything about a model but its tensors and the use of its operators.

    Args:
        model: The model.
        label: How to call the file in messages.
        limits: What it may hold.

    Raises:
        InvalidModelError: The model is malformed.
        UnsupportedError: It is of a version that is not known here, or holds too much.
    """
    findings = Findings(limits)
    for check in CHECKS:
        try:
            check(model, findings)
        except SardonyxError as error:
            error.where = f"{label}: {error.where}" if error.where else label
            error.args = (str(error),)
            raise
    return findings


def _check_versions(model: onnx.ModelProto, _: Findings) -> None:
    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        raise UnsupportedError(
            "The IR version of the model is not known.",
            found=str(model.ir_version),
            expected=f"1 to {onnx.IR_VERSION}",
            remedy="install a newer onnx package if this version exists",
        )
    scopes = [("the model", model.opset_import)]
    scopes += [(scope_name("function", f.name), f.opset_import) for f in model.functions]
    for scope, imports in scopes:
        seen: dict[str, int] = {}
        for entry in imports:
            domain = "" if entry.domain in _STANDARD else entry.domain
            # Some converters write the same line twice.
            if seen.setdefault(domain, entry.version) != entry.version:
                raise InvalidModelError(
                    f"The domain {quoted(domain)} is imported twice.",
                    where=scope,
                    found=f"versions {seen[domain]} and {entry.version}",
                    expected="one version of each domain",
                )


def _check_text(model: onnx.ModelProto, findings: Findings) -> None:
    check_text(model, findings.limits)


def _check_calls(model: onnx.ModelProto, findings: Findings) -> None:
    check_calls(model, findings.limits)


def _check_types(model: onnx.ModelProto, findings: Findings) -> None:
    check_types(model, findings.limits)


def _check_names(model: onnx.ModelProto, findings: Findings) -> None:
    _check_graph(model.graph, None, findings)
    for function in model.functions:
        scope = _Scope(scope_name("function", function.name), None)
        _define(scope, "input", function.input)
        _check_nodes(function.node, function.output, scope, findings)


def _check_graph(graph: onnx.GraphProto, outer: _Scope | None, findings: Findings) -> None:
    scope = _Scope(scope_name("graph", graph.name), outer)
    _define(scope, "input", [value.name for value in graph.input])
    weights = [tensor.name for tensor in graph.initializer]
    weights += [sparse.values.name for sparse in graph.sparse_initializer]
    seen: set[str] = set()
    for name in weights:
        if not name or name in seen:
            raise InvalidModelError(
                "An initializer has no name or the name of another one.",
                where=scope.label,
                found=quoted(name),
            )
        seen.add(name)
    scope.given |= seen
    _check_nodes(graph.node, [value.name for value in graph.output], scope, findings)


def _define(scope: _Scope, kind: str, names: Iterable[str]) -> None:
    for name in names:
        if not name or name in scope.given:
            raise InvalidModelError(
                f"A graph {kind} has no name or the name of another one.",
                where=scope.label,
                found=quoted(name),
            )
        scope.given.add(name)


def _check_nodes(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], scope: _Scope, findings: Findings
) -> None:
    for index, node in enumerate(nodes):
        for name in node.output:
            if name and scope.defines(name):
                raise InvalidModelError(
                    f"The value {quoted(name)} is defined twice.",
                    where=node_place(node, index, scope.label),
                    remedy="each name may be given to one value only",
                )
            if name:
                scope.maker[name] = index
    for index, node in enumerate(nodes):
        for name in node.input:
            if name and scope.maker.get(name, -1) > index and scope.is_outer(name):
                raise InvalidModelError(
                    f"The node reads {quoted(name)} before its graph defines it, and a graph "
                    "around defines one too.",
                    where=node_place(node, index, scope.label),
                    remedy="give the two values names of their own",
                )
            if name and not scope.sees(name):
                raise InvalidModelError(
                    f"The node reads {quoted(name)}, which nothing defines.",
                    where=node_place(node, index, scope.label),
                    remedy="it must be an input, an initializer or the output of another node",
                )
        for graph in subgraphs(node):
            _check_graph(graph, scope, findings)
    _check_outputs(outputs, scope)
    _check_order(nodes, scope, findings)


def _check_outputs(outputs: Sequence[str], scope: _Scope) -> None:
    for name in outputs:
        if not scope.defines(name):
            is_outer = scope.is_outer(name)
            raise InvalidModelError(
                f"The output {quoted(name)} is not defined in its own graph."
                if is_outer
                else f"The output {quoted(name)} is not defined.",
                where=scope.label,
                remedy="pass the outer value through an Identity node" if is_outer else None,
            )


def _check_order(nodes: Sequence[onnx.NodeProto], scope: _Scope, findings: Findings) -> None:
    """Refuse cycles; note where nodes are not in the order in which they can run."""
    makers: list[set[int]] = []
    is_sorted = True
    for index, node in enumerate(nodes):
        read = {scope.maker[name] for name in _reads(node) if name in scope.maker}
        is_sorted = is_sorted and all(maker < index for maker in read)
        makers.append(read)
    if is_sorted:
        return
    findings.is_sorted = False
    ring = _cycle(makers)
    if ring:
        raise InvalidModelError(
            "Nodes wait for each other in a circle.",
            where=scope.label,
            found=" -> ".join(node_place(nodes[i], i, "").rstrip(", ") for i in ring[:6]),
        )


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield what a node reads, also from inside its subgraphs (less what those define)."""
    yield from node.input
    for graph in subgraphs(node):
        own = {v.name for v in graph.input} | {t.name for t in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        for inner in graph.node:
            yield from (name for name in _reads(inner) if name not in own)


def _cycle(makers: Sequence[set[int]]) -> list[int]:
    """Return the indices of nodes on a cycle, empty if there is none."""
    waiting = [len(read) for read in makers]
    readers: list[list[int]] = [[] for _ in makers]
    for index, read in enumerate(makers):
        for maker in read:
            readers[maker].append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    while ready:
        for reader in readers[ready.pop()]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    stuck = {index for index, count in enumerate(waiting) if count}
    if not stuck:
        return []
    path, seen = [min(stuck)], set[int]()
    while path[-1] not in seen:
        seen.add(path[-1])
        path.append(min(makers[path[-1]] & stuck))
    return path[path.index(path[-1]) :][::-1]


Check = Callable[[onnx.ModelProto, Findings], None]
CHECKS: tuple[Check, ...] = (
    # What the others walk over must be nested no deeper than they can walk, and have names.
    _check_calls,
    _check_text,
    _check_versions,
    _check_types,
    _check_names,
)

"""Names that any ONNX runtime accepts: unique in their scope, without control characters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import onnx_ir as ir

from sardonyx.compiler.ir.scope import Scope, scopes

_Thing = TypeVar("_Thing", ir.Value, ir.Node)

_MOST_CHARACTERS = 512
_ILLEGAL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def fix_names(model: ir.Model) -> int:
    """Give every value and node a legal name of its own; returns how many names changed.

    Good names stay, those of the main graph's inputs and outputs first of all. Values are unique
    within the main graph and all its subgraphs together, and within each function; nodes likewise,
    so that a profile names one node. An output that nobody asked for, one that has an empty name
    and no reader, keeps its empty name: a name would make the operator compute it.

    onnx_ir's NameFixPass gives such outputs a name, and lets one name stand in two subgraphs.
    """
    changed = 0
    families: dict[ir.Graph, list[Scope]] = {}
    for scope in scopes(model):
        root = scope
        while root.parent is not None:
            root = root.parent
        families.setdefault(root.graph, []).append(scope)
    for family in families.values():
        changed += _fix_values(family) + _fix_nodes(family)
    return changed


def _fix_values(family: list[Scope]) -> int:
    graph = family[0].graph
    border = dict.fromkeys([*graph.inputs, *graph.outputs])
    inner = dict.fromkeys(v for scope in family for v in _asked_values(scope) if v not in border)
    return _rename([*border, *inner], lambda value: "value")


def _asked_values(scope: Scope) -> Iterator[ir.Value]:
    for value in scope.positions:
        if value.name or value.uses() or value.is_graph_output():
            yield value
        elif value.name is None:
            value.name = ""


def _fix_nodes(family: list[Scope]) -> int:
    nodes = [node for scope in family for node in scope.nodes]
    return _rename(nodes, lambda node: node.op_type.lower())


def _rename(things: Sequence[_Thing], base_of: Callable[[_Thing], str]) -> int:
    """Rename what has no name, an illegal one, or that of one before; returns how many had."""
    taken: set[str] = set()
    bad: list[_Thing] = []
    for thing in things:
        name = thing.name or ""
        if name and name not in taken and name == _legal(name):
            taken.add(name)
        else:
            bad.append(thing)
    serials: Counter[str] = Counter()
    for thing in bad:
        base = name = _legal(thing.name or "") or base_of(thing)
        while name in taken:
            serials[base] += 1
            name = f"{base}_{serials[base]}"
        taken.add(name)
        thing.name = name
    return len(bad)


def _legal(name: str) -> str:
    return _ILLEGAL.sub("_", name)[:_MOST_CHARACTERS]

"""Checks of model-local functions: what they become when they are inlined is counted before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.walk import levels
from sardonyx.frontends.onnx_file.where import quoted, scope_name

_STANDARD = ("", "ai.onnx")
_COUNTED = 1 << 60
"""Beyond it nodes are not counted: each function may double their number."""
_Id = tuple[str, str, str]


@dataclass(frozen=True)
class _Size:
    """What some nodes are once all that they call is inlined.

    Attributes:
        nodes: Their number.
        depth: How many graphs and calls are inside each other.
    """

    nodes: int = 1
    depth: int = 0


def check_calls(model: onnx.ModelProto, limits: Limits) -> None:
    """Check that functions can be inlined, and to what.

    Raises:
        InvalidModelError: A function redefines the standard, exists twice, or calls itself.
        UnsupportedError: Inlined, the model is too large or nested too deeply.
    """
    bodies = _bodies(model)
    limits.check("functions", len(bodies), "The model has too many functions.")
    sizes: dict[_Id, _Size] = {}
    for key in bodies:
        _measure(key, bodies, sizes)
    total = _total(list(_calls(model.graph.node)), sizes)
    is_inlined = " once its functions are inlined" if bodies else ""
    limits.check("nodes", total.nodes, f"The model has too many nodes{is_inlined}.")
    limits.check("nesting", total.depth + 1, f"Graphs are nested too deeply{is_inlined}.")
    if bodies:
        # A function that nobody calls is looked at too.
        depth = max(sizes[key].depth for key in bodies)
        limits.check("nesting", depth + 1, "Functions are nested too deeply.")


def _bodies(model: onnx.ModelProto) -> dict[_Id, list[tuple[_Id, int]]]:
    """Return what each function calls, operators included."""
    bodies: dict[_Id, list[tuple[_Id, int]]] = {}
    for function in model.functions:
        where = scope_name("function", function.name)
        if function.domain in _STANDARD:
            raise InvalidModelError("A function redefines the standard domain.", where=where)
        key = (function.domain, function.name, function.overload)
        if key in bodies:
            raise InvalidModelError("A function is defined twice.", where=where)
        bodies[key] = list(_calls(function.node))
    return bodies


def _calls(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[_Id, int]]:
    """Yield the operator of each node, and in how many graphs it is."""
    for node, level in levels(nodes):
        yield (node.domain, node.op_type, node.overload), level


def _measure(start: _Id, bodies: dict[_Id, list[tuple[_Id, int]]], sizes: dict[_Id, _Size]) -> None:
    """Fill in the sizes of a function and of those that it calls."""
    path = {start: iter(bodies[start])}
    while path:
        key = next(reversed(path))
        missing = next((c for c, _ in path[key] if c in bodies and c not in sizes), None)
        if missing is None:
            size = _total(bodies[key], sizes)
            sizes[key] = _Size(size.nodes, size.depth + 1)
            del path[key]
        elif missing in path:
            ring = [*list(path)[list(path).index(missing) :], missing]
            raise InvalidModelError(
                "Model-local functions call each other in a circle.",
                found=" -> ".join(quoted(name) for _, name, _ in ring[:8]),
            )
        else:
            path[missing] = iter(bodies[missing])


def _total(calls: list[tuple[_Id, int]], sizes: dict[_Id, _Size]) -> _Size:
    one = _Size()
    inside = [(sizes.get(callee, one), level) for callee, level in calls]
    return _Size(
        min(_COUNTED, sum(size.nodes for size, _ in inside)),
        max((size.depth + level for size, level in inside), default=0),
    )

"""How values flow through a source model: which depend on its inputs, and what leads where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.scope import subgraphs

_ABOUT_SHAPES = {"Shape", "Size"}
_SAME_VALUE = {"Cast", "CastLike", "Identity", "Dropout"}
_SMALL = 64

Operands = Callable[[ir.Node, ir.Value], Iterable[ir.Value | None]]
"""Given a node and the value it was reached by, the values to go on with."""


class Flow:
    """The nodes of a model, those of subgraphs included, and which values its inputs decide.

    Attributes:
        nodes: The nodes, in order.
        data: The values that depend on what the model is run on, by more than its shape.
    """

    def __init__(self, model: ir.Model) -> None:
        self.nodes: list[ir.Node] = []
        self.data: set[ir.Value] = {v for v in model.graph.inputs if not v.is_initializer()}
        self._walk(model.graph)

    def _walk(self, graph: ir.Graph) -> None:
        for node in graph:
            self.nodes.append(node)
            inner = list(subgraphs(node))
            for each in inner:
                self.data.update(each.inputs)
                self._walk(each)
            is_data = any(v in self.data for v in node.inputs)
            is_data |= any(v in self.data for each in inner for n in each for v in n.outputs)
            if is_data and node.op_type not in _ABOUT_SHAPES:
                self.data.update(node.outputs)

    def is_data(self, value: ir.Value | None) -> bool:
        """Say whether a value depends on what the model is run on."""
        return value in self.data

    def data_operands(self, node: ir.Node) -> list[ir.Value]:
        """Return the operands that depend on what the model is run on."""
        return [v for v in node.inputs if v is not None and v in self.data]


def number(value: ir.Value | None) -> float | None:
    """Return the number that all elements of a constant are, or None; looks through casts."""
    value = plain(value)
    array = constants.array(value, _SMALL)
    if array is None or array.size == 0 or array.dtype.kind not in "fiu":
        return None
    first = float(array.flat[0])
    return first if bool((array == array.flat[0]).all()) else None


def is_near(found: float | None, wanted: float) -> bool:
    """Say whether a number is another one, up to what half precision rounds away."""
    return found is not None and abs(found - wanted) <= 2e-3 * abs(wanted)


def plain(value: ir.Value | None) -> ir.Value | None:
    """Return what a value is a copy of: casts, identities and dropouts change nothing here."""
    while value is not None:
        node = value.producer()
        if node is None or node.domain or node.op_type not in _SAME_VALUE:
            return value
        value = node.inputs[0]
    return value


def maker(value: ir.Value | None) -> ir.Node | None:
    """Return the node that makes a value, seen through casts."""
    value = plain(value)
    return value.producer() if value is not None else None


def made_by(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """Return the node that makes a value, if it is one of these operators."""
    node = maker(value)
    return node if node is not None and node.op_type in op_types and not node.domain else None


def upstream(value: ir.Value | None, operands: Operands, steps: int = 12) -> Iterator[ir.Node]:
    """Yield the nodes that a value comes from, nearest first, as far as `operands` leads."""
    seen: set[ir.Node] = set()
    front = [value]
    for _ in range(steps):
        further: list[ir.Value | None] = []
        for each in front:
            node = each.producer() if each is not None else None
            if node is None or node in seen or each is None:
                continue
            seen.add(node)
            yield node
            further += operands(node, each)
        front = further


def downstream(
    value: ir.Value, goes_on: Callable[[ir.Node, int], bool], steps: int = 8
) -> Iterator[tuple[ir.Node, int]]:
    """Yield the readers of a value, with the operand they read it as, through some nodes."""
    seen: set[ir.Node] = set()
    front = [value]
    for _ in range(steps):
        further: list[ir.Value] = []
        for each in front:
            for node, index in each.uses():
                if node in seen:
                    continue
                seen.add(node)
                yield node, index
                if goes_on(node, index):
                    further += node.outputs
        front = further


def readers(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """Return who reads a value, through casts, with the operand they read it as."""
    found = downstream(value, lambda node, _: node.op_type in _SAME_VALUE and not node.domain)
    return [(node, index) for node, index in found if node.op_type not in _SAME_VALUE]

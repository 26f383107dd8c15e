"""Regions: what can be stored in either of two orders of axes, around one Transpose.

In a region each tensor has two orders of axes, called A and B, and each node works either on
operands and outputs that are all in order A or on such that are all in order B. A region starts
at the two sides of a Transpose and grows through every node that can be carried.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.analysis.layout_tensors import Tensor, Tensors
from sardonyx.compiler.ir.constants import is_constant
from sardonyx.compiler.ops import find
from sardonyx.compiler.ops.axes import AxisMap, Fixed, axis_map, tensor
from sardonyx.compiler.ops.carry import Carried, Perm, carry, identity, inverse, then


class Side(enum.Enum):
    """One of the two orders of axes of a region."""

    A = "A"
    B = "B"

    @property
    def other(self) -> Side:
        """The other one."""
        return Side.B if self is Side.A else Side.A


@dataclass(frozen=True)
class Choice:
    """A node that may work in either order.

    Attributes:
        side: The order it works in as it is.
        carried: How it looks in the other.
        kernel_bytes: Bytes that its kernel transposes inside, as it is and in the other order.
    """

    side: Side
    carried: Carried
    kernel_bytes: tuple[int, int]

    def carries(self, number: int) -> bool:
        """Say whether an operand or output is stored otherwise in the other order."""
        perm = self.carried.perms.get(number)
        return perm is not None and perm != identity(len(perm))


@dataclass
class Region:
    """Tensors and nodes that can be in either of two orders of axes.

    Attributes:
        tensors: The tensors of the graph.
        orders: For each tensor its orders A and B, as permutations of its root's axes.
        choices: The nodes that can be carried from one order to the other.
    """

    tensors: Tensors
    orders: dict[Tensor, dict[Side, Perm]] = field(default_factory=dict)
    choices: dict[ir.Node, Choice] = field(default_factory=dict)


class AxisMaps:
    """The axes of nodes, read from their rows once."""

    def __init__(self) -> None:
        self._known: dict[ir.Node, AxisMap | Fixed] = {}

    def of(self, node: ir.Node) -> AxisMap | Fixed:
        """Return the axes of a node."""
        if node not in self._known:
            row = find(node)
            nobody = Fixed("nobody described the operator")
            self._known[node] = nobody if row is None else axis_map(row.axes, node)
        return self._known[node]


def grow(tensors: Tensors, maps: AxisMaps, start: Tensor, perm: Perm) -> Region:
    """Return the region in which `start` is stored as it is or permuted.

    Args:
        tensors: The tensors of the graph.
        maps: The axes of its nodes.
        start: A tensor that has a Transpose.
        perm: What the Transpose makes of the axes of the tensor's root.
    """
    region = Region(tensors, {start: {Side.A: identity(len(perm)), Side.B: perm}})
    seen: set[ir.Node] = set()
    pending = [start]
    while pending:
        current = pending.pop()
        for node, number, held in _touching(tensors, current):
            if node in seen:
                continue
            joined = _join(region, maps.of(node), node, number, held)
            if joined is None:
                continue
            seen.add(node)
            choice, orders = joined
            region.choices[node] = choice
            region.orders.update(orders)
            pending += orders
    return region


def _touching(tensors: Tensors, current: Tensor) -> Iterator[tuple[ir.Node, int, Perm]]:
    """Yield the nodes of the graph that make or read a tensor, with their number for it."""
    maker = current.root.producer()
    if maker is not None and maker.graph is tensors.graph:
        yield maker, ~maker.outputs.index(current.root), current.perms[current.root]
    for node, index, perm in current.readers():
        if node.graph is tensors.graph:
            yield node, index, perm


def _join(
    region: Region,
    axes: AxisMap | Fixed,
    node: ir.Node,
    number: int,
    held: Perm,
) -> tuple[Choice, dict[Tensor, dict[Side, Perm]]] | None:
    """Return the node's choice and the tensors that it adds, or None where it cannot choose."""
    if isinstance(axes, Fixed) or number not in axes.labels:
        return None
    value = tensor(node, number)
    assert value is not None
    tensors = region.tensors
    known = region.orders[tensors.of(value)]
    if held not in known.values():
        return None
    side = Side.A if held == known[Side.A] else Side.B
    change = then(inverse(held), known[side.other])
    carried = _matching(region, axes, node, number, change) or carry(node, axes, number, change)
    if isinstance(carried, Fixed):
        return None
    choice = Choice(side, carried, _kernel_bytes(tensors, carried))
    added: dict[Tensor, dict[Side, Perm]] = {}
    for other in carried.perms:
        value = tensor(node, other)
        if value is None or not choice.carries(other) or is_constant(value):
            continue
        owner = tensors.of(value)
        now = owner.perms[value]
        wanted = {side: now, side.other: then(now, carried.perms[other])}
        if wanted != (region.orders.get(owner) or added.get(owner) or wanted):
            return None
        if owner not in region.orders:
            added[owner] = wanted
    return choice, added


def _kernel_bytes(tensors: Tensors, carried: Carried) -> tuple[int, int]:
    transposes = carried.kernel_transposes()
    if not any(transposes):
        return 0, 0
    nbytes = 2 * tensors.of(carried.node.outputs[0]).nbytes
    return transposes[0] * nbytes, transposes[1] * nbytes


def _matching(
    region: Region, axes: AxisMap, node: ir.Node, number: int, change: Perm
) -> Carried | None:
    """Find how to carry a node so that tensors with more axes get an order they have already.

    The order of an axis that `Unsqueeze` makes, or that a reduction drops, is free.
    """
    for other, labels in axes.labels.items():
        value = tensor(node, other)
        if value is None or set(labels) <= set(axes.labels[number]):
            continue
        owner = region.tensors.of(value)
        now = owner.perms[value]
        for perm in [*region.orders.get(owner, {}).values(), *owner.demanded()]:
            carried = carry(node, axes, other, then(inverse(now), perm))
            if isinstance(carried, Carried) and carried.perms[number] == change:
                return carried
    return None

"""Choosing an order of axes for each node of a region, as a minimum cut.

The nodes of the flow network are the region's operators and two terminals: A, the source, and B.
A cut that leaves an operator on the source's side puts it into order A. An edge with a capacity is
what it costs, in bytes moved, to have its first end in A and its second in B:

- A tensor that is made in one order and read in the other is transposed once, however many
  readers there are: an edge from its maker to an auxiliary node that all readers follow.
- What cannot be carried (graph inputs and outputs, captures, operators whose layout is fixed)
  stands for a terminal.
- An operator whose kernel transposes inside pays for it in the order in which it does.

The minimum cut of such a network is the cheapest of all choices
(Kolmogorov and Zabih, "What energy functions can be minimized via graph cuts?", 2004).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.analysis.layout_region import Region, Side
from sardonyx.compiler.analysis.layout_tensors import Tensor
from sardonyx.compiler.ops.carry import Perm, identity, then

_INFINITE = -1


@dataclass(frozen=True, order=True)
class Traffic:
    """What transposes cost.

    Attributes:
        bytes: Bytes of the tensors that are transposed, inside kernels too.
        transposes: How many Transpose nodes there are, those that move nothing too.
    """

    bytes: int
    transposes: int


def traffic(region: Region, carried: set[ir.Node], *, inside: bool = True) -> Traffic:
    """Return what the transposes of a region cost if some of its nodes are carried.

    Args:
        region: The region.
        carried: The nodes that are carried to the other order.
        inside: Whether transposes inside kernels count.
    """
    total, count = 0, 0
    for tensor in region.orders:
        made = _made_as(region, tensor, carried)
        wanted = {made, *_read_as(region, tensor, carried)}
        total += tensor.nbytes * (len({tensor.in_memory(perm) for perm in wanted}) - 1)
        count += len(wanted) - 1
    if inside:
        for node, choice in region.choices.items():
            total += choice.kernel_bytes[node in carried]
    return Traffic(total, count)


def cheapest(region: Region) -> set[ir.Node]:
    """Return the nodes to carry so that the fewest bytes are moved."""
    # Only a graph with transposes needs it, and it takes long to load.
    import networkx as nx

    edges = _edges(region)
    network: nx.DiGraph[object] = nx.DiGraph()
    network.add_nodes_from((Side.A, Side.B))
    for (tail, head), capacity in edges.items():
        if capacity == _INFINITE:
            network.add_edge(tail, head)
        else:
            network.add_edge(tail, head, capacity=capacity)
    _, (in_a, _) = nx.minimum_cut(network, Side.A, Side.B)
    return {
        node for node, choice in region.choices.items() if (node in in_a) != (choice.side is Side.A)
    }


def _edges(region: Region) -> dict[tuple[object, object], int]:
    """Return the network's edges with their capacities.

    A byte weighs more than everything else together; a carried operator and a Transpose that
    moves nothing weigh one each, so that nothing changes where nothing is gained.
    """
    byte = 4 * (len(region.choices) + 2 * len(region.orders) + 1)
    edges: dict[tuple[object, object], int] = {}

    def add(tail: object, head: object, capacity: int) -> None:
        if tail is not head and edges.get((tail, head)) != _INFINITE:
            before = edges.get((tail, head), 0)
            edges[tail, head] = _INFINITE if capacity == _INFINITE else before + capacity

    for node, choice in region.choices.items():
        cost = {
            choice.side: byte * choice.kernel_bytes[0],
            choice.side.other: byte * choice.kernel_bytes[1] + 1,
        }
        add(node, Side.B, cost[Side.A])
        add(Side.A, node, cost[Side.B])
    for tensor, orders in region.orders.items():
        is_moved = tensor.moves(orders[Side.A], orders[Side.B])
        capacity = 1 + (byte * tensor.nbytes if is_moved else 0)
        readers = list(_reading(region, tensor))
        for side in Side:
            maker = _maker(region, tensor, side)
            # Pays if the maker is not on `side` and some reader is.
            hub = (tensor, side)
            ends = [end for end, needs in readers if needs in (side, None)]
            if side is Side.B:
                add(maker, hub, capacity)
            else:
                add(hub, maker, capacity)
            for end in ends:
                tail, head = (hub, end) if side is Side.B else (end, hub)
                add(tail, head, _INFINITE)
    return edges


def _maker(region: Region, tensor: Tensor, side: Side) -> object:
    """Return what makes a tensor: an operator, or the terminal that tells what it costs."""
    node = tensor.root.producer()
    choice = region.choices.get(node) if node is not None else None
    if choice is not None and choice.carries(~_output(tensor)):
        return node
    is_there = not tensor.moves(identity(len(tensor.dims)), region.orders[tensor][side])
    return side if is_there else side.other


def _reading(region: Region, tensor: Tensor) -> Iterator[tuple[object, Side | None]]:
    """Yield what reads a tensor: an operator, or a terminal with the order that it demands."""
    orders = region.orders[tensor]
    for perm, node, index in _uses(tensor):
        choice = region.choices.get(node) if node is not None else None
        if choice is not None and choice.carries(index):
            yield node, None
            continue
        for side in Side:
            if not tensor.moves(perm, orders[side]):
                yield side, side
                break


def _uses(tensor: Tensor) -> Iterator[tuple[Perm, ir.Node | None, int]]:
    for node, index, perm in tensor.readers():
        yield perm, node, index
    for value, perm in tensor.perms.items():
        if value.is_graph_output():
            yield perm, None, 0


def _made_as(region: Region, tensor: Tensor, carried: set[ir.Node]) -> Perm:
    """Return the order of axes, relative to the root as it is, in which a tensor is made."""
    perm = identity(len(tensor.dims))
    node = tensor.root.producer()
    if node is None or node not in carried:
        return perm
    return then(perm, region.choices[node].carried.perms.get(~_output(tensor), perm))


def _read_as(region: Region, tensor: Tensor, carried: set[ir.Node]) -> Iterator[Perm]:
    for perm, node, index in _uses(tensor):
        if node is not None and node in carried:
            yield then(perm, region.choices[node].carried.perms.get(index, identity(len(perm))))
        else:
            yield perm


def _output(tensor: Tensor) -> int:
    node = tensor.root.producer()
    assert node is not None
    return node.outputs.index(tensor.root)

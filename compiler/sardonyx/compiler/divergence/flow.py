"""What is computed from what in a main graph, and the nodes that all of it passes through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from sardonyx.compiler.ir.edit import operands

_TELLS_NO_NUMBERS = frozenset({"Shape", "Size"})
"""What they give depends on the shape of their operand, not on its elements."""


class Flow:
    """The nodes of a main graph by number, in order, and which are computed from which.

    Sets of nodes are integers whose bits are the numbers of their members.

    Args:
        graph: The graph; its nodes are in an order in which they can run.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.nodes = list(graph)
        self.maker = {
            str(value.name): number
            for number, node in enumerate(self.nodes)
            for value in node.outputs
        }
        numbers = {node: number for number, node in enumerate(self.nodes)}
        self.reads: list[tuple[int, ...]] = []
        self.before: list[int] = []
        """For each node the set of what it is computed from, itself among them."""
        for number, node in enumerate(self.nodes):
            makers = {numbers.get(p) for v in operands(node) if (p := v.producer()) is not None}
            if node.op_type in _TELLS_NO_NUMBERS and not node.domain:
                makers = set()
            read = tuple(sorted(maker for maker in makers if maker is not None))
            self.reads.append(read)
            self.before.append(1 << number | union(self.before[each] for each in read))

    def value(self, name: str) -> ir.Value:
        """Return the value that a node gives under a name."""
        return next(v for v in self.nodes[self.maker[name]].outputs if v.name == name)

    def region(self, end: int, known: Iterable[int]) -> int:
        """Return what `end` is computed from, itself too, that nothing in `known` comes from."""
        return self.before[end] & ~union(self.before[each] for each in known)

    def is_before(self, first: int, second: int) -> bool:
        """Say whether the second is computed from the first."""
        return first != second and bool(self.before[second] >> first & 1)

    def cuts(self, region: int, end: int) -> list[int]:
        """Return the nodes that everything from the main entry of a region to its end goes through.

        They are the dominators of the end, in order, the end left out. The main entry is the node
        without predecessor in the region that most of it is computed from: masks and positions
        come in at the side of the stream that a network is.
        """
        import networkx as nx

        inside = list(members(region))
        edges = [(each, node) for node in inside for each in self.reads[node] if region >> each & 1]
        reached = {node for _, node in edges}
        entries = [node for node in inside if node not in reached]
        entry = max(entries, key=lambda e: sum(self.before[n] >> e & 1 for n in inside))
        if entry == end or not self.is_before(entry, end):
            return []
        dominators = nx.immediate_dominators(nx.DiGraph(edges), entry)
        chain = []
        node = end
        while node != entry:
            node = dominators[node]
            chain.append(node)
        return chain[::-1]

    def smaller_part(self, node: int, among: int) -> int:
        """Return of how many of a set a look at a node decides in any case."""
        part = (self.before[node] & among).bit_count()
        return min(part, among.bit_count() - part)


def union(sets: Iterable[int]) -> int:
    """Return the union of some sets."""
    made = 0
    for each in sets:
        made |= each
    return made


def members(of: int) -> Iterator[int]:
    """Yield the members of a set in order."""
    while of:
        lowest = of & -of
        yield lowest.bit_length() - 1
        of ^= lowest


def is_floating(value: ir.Value) -> bool:
    """Say whether a value is known to be a tensor of floating-point numbers."""
    is_tensor = isinstance(value.type, ir.TensorType)
    return is_tensor and value.dtype is not None and value.dtype.is_floating_point()


def main_output(node: ir.Node) -> ir.Value | None:
    """Return the first floating-point value that a node gives."""
    return next((v for v in node.outputs if v.name and is_floating(v)), None)

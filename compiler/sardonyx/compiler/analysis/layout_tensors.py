"""Tensors up to the order of their axes: a value and whatever is only a transpose of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.carry import Perm, identity, then
from sardonyx.compiler.ops.cost import length


@dataclass(eq=False)
class Tensor:
    """A value, its root, with all its transposes.

    Attributes:
        root: The value that no Transpose of the same graph makes.
        dims: Length of each axis of the root.
        nbytes: Bytes of its elements.
        perms: For each member, the root among them, how its axes come from the root's.
        transposes: The Transpose nodes that make the other members, in graph order.
    """

    root: ir.Value
    dims: tuple[int | None, ...]
    nbytes: int
    perms: dict[ir.Value, Perm] = field(default_factory=dict)
    transposes: list[ir.Node] = field(default_factory=list)

    def in_memory(self, perm: Perm) -> Perm:
        """Return the order of axes without those of length 1: equal ones share all bytes."""
        return tuple(axis for axis in perm if self.dims[axis] != 1)

    def moves(self, perm: Perm, other: Perm) -> bool:
        """Say whether elements change their place in memory between two orders of axes."""
        return self.in_memory(perm) != self.in_memory(other)

    def readers(self) -> Iterator[tuple[ir.Node, int, Perm]]:
        """Yield each use of a member by something else than one of the tensor's Transposes."""
        for value, perm in self.perms.items():
            for node, index in value.uses():
                if self._is_reader(node):
                    yield node, index, perm

    def is_read(self, value: ir.Value) -> bool:
        """Say whether a member is a graph output or read by more than its own Transposes."""
        return value.is_graph_output() or any(self._is_reader(node) for node, _ in value.uses())

    def _is_reader(self, node: ir.Node) -> bool:
        """Nodes that were made and not used are in no graph, but count as uses."""
        return node.graph is not None and node.outputs[0] not in self.perms

    def demanded(self) -> list[Perm]:
        """Return the orders of axes that readers and graph outputs want, in graph order."""
        return list(dict.fromkeys(p for value, p in self.perms.items() if self.is_read(value)))


class Tensors:
    """The tensors of one graph.

    Args:
        graph: The graph; what it reads from graphs around it are roots here.
        symbol: Length that stands in for each symbolic dimension where bytes are counted.
    """

    def __init__(self, graph: ir.Graph, symbol: int) -> None:
        self.graph = graph
        self._symbol = symbol
        self._of: dict[ir.Value, Tensor] = {}
        for node in graph:
            if is_transpose(node):
                self._add(node)

    def of(self, value: ir.Value) -> Tensor:
        """Return the tensor that a value of known rank belongs to."""
        known = self._of.get(value)
        if known is None:
            dims = tuple(value.shape or ())
            known = self._new(value, dims)
        return known

    def transposed(self) -> list[Tensor]:
        """Return the tensors that have Transposes, in graph order."""
        return [t for t in dict.fromkeys(self._of.values()) if t.transposes]

    def _add(self, node: ir.Node) -> None:
        source, made = node.inputs[0], node.outputs[0]
        assert source is not None
        perm = Attributes(node).perm
        if perm is None:
            if source.shape is None:
                return
            perm = tuple(reversed(range(len(source.shape))))
        tensor = self._of.get(source)
        if tensor is None:
            dims = source.shape if source.shape is not None else [ir.SymbolicDim(None)] * len(perm)
            tensor = self._new(source, tuple(dims))
        if len(perm) != len(tensor.perms[source]):
            return  # It cannot run; shapes that are not known hide that.
        tensor.perms[made] = then(tensor.perms[source], tuple(perm))
        tensor.transposes.append(node)
        self._of[made] = tensor

    def _new(self, root: ir.Value, dims: tuple[int | ir.SymbolicDim, ...]) -> Tensor:
        lengths = tuple(d if isinstance(d, int) else None for d in dims)
        elements = math.prod(length(dim, self._symbol) for dim in dims)
        bits = root.dtype.bitwidth if root.dtype in _SIZED else 32
        tensor = Tensor(root, lengths, elements * bits // 8, {root: identity(len(lengths))})
        self._of[root] = tensor
        return tensor


def is_transpose(node: ir.Node) -> bool:
    """Say whether a node is a standard Transpose."""
    return node.op_type == "Transpose" and node.domain in {"", "ai.onnx"}


_SIZED = {d for d in ir.DataType if d not in {ir.DataType.UNDEFINED, ir.DataType.STRING}}

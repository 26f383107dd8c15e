"""Layout: in which order of axes each tensor is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from sardonyx.compiler.analysis.layout_cut import cheapest, traffic
from sardonyx.compiler.analysis.layout_region import AxisMaps, Region, grow
from sardonyx.compiler.analysis.layout_tensors import Tensor, Tensors
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.ops.carry import (
    Carried,
    Perm,
    identity,
    inverse,
    permuted,
    rebuild,
    then,
)
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class AssignLayouts(Pass):
    """Store each tensor in the order of axes with which transposes move the fewest bytes.

    Where `Transpose`s surround operators that do not care about the order of axes, those work
    in another order and the `Transpose`s go:

        a = Transpose <perm = [0, 2, 3, 1]> (x)          b = Add (x, bias_c11)
        b = Add (a, bias_c)                        ->    y = Relu (b)
        c = Relu (b)
        y = Transpose <perm = [0, 3, 1, 2]> (c)

    Inputs, outputs and what subgraphs read keep their order. No pass over the same model
    transposes more bytes than before, and none adds a `Transpose` where nothing is gained.

    Attributes:
        symbol: Length that stands in for each symbolic dimension where bytes are counted.
            Only its ratio to the static dimensions matters, where tensors with and without a
            symbolic dimension compete.
    """

    symbol: int = 16
    name: ClassVar[str] = "layout"

    def run(self, editor: Editor) -> PassReport:
        """Choose, move and cancel in every graph until nothing is gained any more."""
        sites: list[str] = []
        for graph in graphs_in(editor.model.graph):
            sites += self._settle(graph, editor)
            while moved := self._round(graph, editor):
                sites += moved
                sites += self._settle(graph, editor)
        return PassReport({self.name: sites} if sites else {})

    def _round(self, graph: ir.Graph, editor: Editor) -> list[str]:
        """Carry the nodes of all regions that gain and do not touch each other."""
        tensors, maps = Tensors(graph, self.symbol), AxisMaps()
        covered: set[tuple[Tensor, frozenset[Perm]]] = set()
        changed: set[Tensor] = set()
        chosen: dict[ir.Node, Carried] = {}
        sites: list[str] = []
        for start in tensors.transposed():
            for perm in start.demanded():
                key = (start, frozenset((identity(len(perm)), perm)))
                if key in covered or perm == identity(len(perm)):
                    continue
                region = grow(tensors, maps, start, perm)
                covered |= {(t, frozenset(o.values())) for t, o in region.orders.items()}
                if changed & region.orders.keys():
                    continue
                carried, gain = _gain(region)
                if carried:
                    sites.append(f"{provenance.site(start.transposes[0])}: {gain}")
                    changed |= region.orders.keys()
                    chosen |= {node: region.choices[node].carried for node in carried}
        for node in list(graph):
            if node in chosen:
                self._carry(chosen[node], editor)
        return sites

    def _carry(self, carried: Carried, editor: Editor) -> None:
        """Let a node work in the other order, between transposes to and from it."""
        node, op = carried.node, editor.builder()
        operands = [
            value
            if value is None or i not in carried.perms
            else permuted(op, value, carried.perms[i])
            for i, value in enumerate(node.inputs)
        ]
        old, new = [], []
        for j, made in enumerate(rebuild(op, carried, operands)):
            if node.outputs[j].name != "":
                back = inverse(carried.perms[~j]) if ~j in carried.perms else ()
                old.append(node.outputs[j])
                new.append(permuted(op, made, back))
        editor.replace(old, new, op, self.name, [node])

    def _settle(self, graph: ir.Graph, editor: Editor) -> list[str]:
        """Make each order of axes of each tensor at most once, straight from the tensor."""
        before = editor.changes
        for tensor in Tensors(graph, self.symbol).transposed():
            self._settle_tensor(tensor, editor)
        cancelled = editor.changes - before
        return [f"{cancelled} transposes cancelled or merged"] if cancelled else []

    def _settle_tensor(self, tensor: Tensor, editor: Editor) -> None:
        read = [node for node in tensor.transposes if tensor.is_read(node.outputs[0])]
        root = identity(len(tensor.dims))
        stored = {root: tensor.root}
        # The first member with each order in memory; the others move nothing from there.
        sources = {tensor.in_memory(root): root}
        for node in read:
            value, op = node.outputs[0], editor.builder()
            perm = tensor.perms[value]
            if perm in stored:
                editor.replace([value], [stored[perm]], op, self.name)
                continue
            source = sources.setdefault(tensor.in_memory(perm), perm)
            source = root if source == perm else source
            if node.inputs[0] is not stored[source]:
                step = then(inverse(source), perm)
                made = permuted(op, stored[source], step)
                editor.replace([value], [made], op, self.name)
                value = made
            stored[perm] = value


def _gain(region: Region) -> tuple[set[ir.Node], str]:
    """Return the nodes to carry, none where nothing is gained, and what is gained."""
    nothing: set[ir.Node] = set()
    if not region.choices:
        return nothing, ""
    carried = cheapest(region)
    before, after = traffic(region, nothing), traffic(region, carried)
    nodes_before = traffic(region, nothing, inside=False)
    nodes_after = traffic(region, carried, inside=False)
    if after >= before or nodes_after.bytes > nodes_before.bytes:
        return nothing, ""
    return carried, (
        f"{len(carried)} operators carried, "
        f"transposes {before.transposes} -> {after.transposes}, "
        f"bytes transposed {nodes_before.bytes} -> {nodes_after.bytes}"
    )

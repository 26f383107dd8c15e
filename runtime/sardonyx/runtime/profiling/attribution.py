"""Follows the nodes that ran back to the nodes of the model file.

ONNX Runtime fuses, renames and adds nodes, and forgets their metadata. What it keeps are names of
values: the last value of what it fused. So a node that ran stands for the nodes of the file between
its outputs and the outputs of other nodes that ran. It is of the module of the most expensive of
them: a convolution that took in an addition and a ReLU is of the convolution's module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .events import Executed, Key
from .flops import COSTLY, MOVES
from .graph import Graph, GraphNode
from .modules import sources_of

BLOCKED = "_nchwc"
"""What ONNX Runtime's blocked layout appends to the name of a value, or of a node."""


@dataclass(frozen=True)
class Origin:
    """What a node that ran is, and stands for.

    Attributes:
        node: The node as ONNX Runtime runs it, with its inputs and attributes, if it is known.
        sources: Where it comes from, in the words of the model file, the most expensive first.
        replaced: Names of the nodes of the file that it stands for.
    """

    node: GraphNode | None
    sources: tuple[str, ...]
    replaced: tuple[str, ...]


class Attribution:
    """The nodes of a file, and of what ONNX Runtime made of it.

    Args:
        file: The model file's graph.
        optimized: The graph that runs, as ONNX Runtime writes it; None where it cannot.
        ran: The nodes that ran.
    """

    def __init__(self, file: Graph, optimized: Graph | None, ran: Iterable[Key]) -> None:
        self._file = file
        self._running = optimized or file
        self._by_name = _by_name(self._running.nodes)
        self._file_by_name = _by_name(file.nodes)
        self._producers = {name: node for node in file.nodes for name in node.outputs if name}
        self._original = {
            output: original
            for node in self._running.nodes
            for output, original in self._outputs_in_file(node)
        }
        computed = {name for node in self._running.nodes for name in node.outputs}
        self._borders = computed | set(self._original.values())
        self._regions = self._all_regions()
        self._unnamed = self._match_unnamed(ran)

    def __call__(self, key: Key, executed: Executed) -> Origin:
        """What a node that ran stands for."""
        node = self._node(key, executed)
        if node is None:
            # A node that ONNX Runtime put in after the graph was written: a copy between devices.
            return Origin(None, (), ())
        region = self._region(node) or self._neighbours(node)
        ordered = sorted(region, key=lambda n: n.op_type not in COSTLY)
        sources = dict.fromkeys(s for n in ordered for s in sources_of(n.metadata, n.name))
        return Origin(node, tuple(sources), tuple(n.name for n in region if n.name))

    def _node(self, key: Key, executed: Executed) -> GraphNode | None:
        for candidate in self._by_name.get(executed.name, ()):
            if candidate.op_type == executed.op_type:
                return candidate
        return self._unnamed.get(key)

    def _match_unnamed(self, ran: Iterable[Key]) -> dict[Key, GraphNode]:
        """Nodes without a name, which ONNX Runtime calls by operator and index: ``Exp_1``.

        Nodes of the file have their place in it as index. Others, of functions that were inlined,
        are in the same order in the graph, operator by operator; where their numbers differ, as
        with subgraphs that never run, nobody knows which is which.
        """
        makers = {name: node for node in self._running.nodes for name in node.outputs}
        places: dict[tuple[str, str], list[GraphNode]] = {}
        for node in self._file.nodes:
            if not node.name and node.outputs:
                places.setdefault((node.op_type, str(node.index)), []).append(node)
        keys: dict[str, list[Key]] = {}
        found: dict[Key, GraphNode] = {}
        for key in ran:
            name, op_type, index = key
            if name != f"{op_type}_{index}" or name in self._by_name:
                continue
            here = places.get((op_type, index), ())
            maker = makers.get(here[0].outputs[0]) if len(here) == 1 else None
            if maker is not None and maker.op_type == op_type:
                found[key] = maker
            else:
                keys.setdefault(op_type, []).append(key)
        taken = {id(node) for node in found.values()}
        for op_type, those in keys.items():
            nodes = [
                node
                for node in self._running.nodes
                if not node.name and node.op_type == op_type and id(node) not in taken
            ]
            if len(nodes) == len(those):
                found |= zip(sorted(those, key=lambda key: int(key[2])), nodes, strict=True)
        return found

    def _outputs_in_file(self, node: GraphNode) -> Iterable[tuple[str, str]]:
        """Outputs of a node that runs, and the values of the file that they are."""
        same = [n for n in self._file_by_name.get(node.name, ()) if n.op_type == node.op_type]
        if len(same) == 1:
            yield from zip(node.outputs, same[0].outputs, strict=False)
            return
        for position, output in enumerate(node.outputs):
            if output in self._producers:
                # A value in its other layout is not what the node that moves it computes.
                if node.op_type not in MOVES or self._producers[output].op_type == node.op_type:
                    yield output, output
            elif position == 0 and node.name.endswith(BLOCKED):
                stem = node.name.removesuffix(BLOCKED)
                if stem in self._producers:
                    yield output, stem
                elif stem in self._file_by_name:
                    yield output, self._file_by_name[stem][0].outputs[0]

    def _region(self, node: GraphNode) -> list[GraphNode]:
        return self._regions.get(id(node), [])

    def _all_regions(self) -> dict[int, list[GraphNode]]:
        """For each node that runs, the nodes of the file that it stands for."""
        regions = {id(node): self._between(node) for node in self._running.nodes}
        order = {id(node): place for place, node in enumerate(self._running.nodes)}
        owners = {id(inner): node for node in self._running.nodes for inner in regions[id(node)]}
        # What a convolution in the blocked layout took in leaves no value behind: it belongs to
        # the last of those that compute its inputs.
        for node in self._file.nodes:
            makers = [self._producers[name] for name in node.inputs if name in self._producers]
            known = [owners[id(maker)] for maker in makers if id(maker) in owners]
            if known and id(node) not in owners:
                owner = max(known, key=lambda running: order[id(running)])
                regions[id(owner)].append(node)
                owners[id(node)] = owner
        return regions

    def _between(self, node: GraphNode) -> list[GraphNode]:
        """The nodes of the file between a node's outputs and what other nodes compute."""
        found: dict[int, GraphNode] = {}
        waiting = [self._original[o] for o in node.outputs if o in self._original]
        while waiting:
            producer = self._producers.get(waiting.pop())
            if producer is None or id(producer) in found:
                continue
            found[id(producer)] = producer
            waiting += [name for name in producer.inputs if name not in self._borders]
        return list(found.values())

    def _neighbours(self, node: GraphNode) -> list[GraphNode]:
        """What a node without values of the file serves: who reads it, or else whom it reads."""
        readers = [n for n in self._running.nodes if set(node.outputs) & set(n.inputs)]
        for other in readers:
            if region := self._region(other):
                return region
        producers = [n for n in self._running.nodes if set(n.outputs) & set(node.inputs)]
        for other in producers:
            if region := self._region(other):
                return region
        return []


def _by_name(nodes: Iterable[GraphNode]) -> Mapping[str, list[GraphNode]]:
    found: dict[str, list[GraphNode]] = {}
    for node in nodes:
        if node.name:
            found.setdefault(node.name, []).append(node)
    return found

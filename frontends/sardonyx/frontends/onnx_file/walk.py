"""Walks over the graphs and nodes of a parsed model, without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs in the attributes of a node."""
    found: list[onnx.GraphProto] = []
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH and not attribute.ref_attr_name:
            found.append(attribute.g)
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            found.extend(attribute.graphs)
    return found


def levels(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, int]]:
    """Yield nodes and those of their subgraphs, each with the number of graphs that it is in."""
    pending = [(iter(nodes), 0)]
    while pending:
        each, level = pending[-1]
        node = next(each, None)
        if node is None:
            pending.pop()
            continue
        yield node, level
        pending += [(iter(graph.node), level + 1) for graph in reversed(subgraphs(node))]


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes and those of their subgraphs."""
    return (node for node, _ in levels(nodes))


def node_lists(model: onnx.ModelProto) -> list[Iterable[onnx.NodeProto]]:
    """Return the nodes of the main graph, and those of each function."""
    return [model.graph.node, *(function.node for function in model.functions)]


def all_graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield the main graph and all subgraphs, those of functions too."""
    yield model.graph
    for nodes in node_lists(model):
        for node in all_nodes(nodes):
            yield from subgraphs(node)

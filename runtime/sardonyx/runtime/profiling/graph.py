"""The nodes and weights of a model file, read from its bytes: what a profile has to look up.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Weights are
skipped by their length; the nodes and weights of subgraphs are listed with those around them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..modelfile import BYTES, VARINT, Field, entry, fields, open_model, read_header, varint

NODE, INITIALIZER = 1, 5
INPUT, OUTPUT, NAME, OP_TYPE, ATTRIBUTE, DOMAIN, METADATA = 1, 2, 3, 4, 5, 7, 9
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_GRAPH = 1, 3, 4, 6
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME = 1, 2, 8
BITS = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((25, 26), 2),
}
"""Bits of an element by TensorProto.DataType; strings have none."""
_LONGEST_TEXT = 4096
"""Bytes of an attribute's text that is kept: an equation, no source code."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class GraphNode:
    """One node of a model.

    Attributes:
        name: Its name; ONNX asks for none, and for no unique one.
        index: Its place in the graph or subgraph that it is in.
        operator: Its operator, with the domain unless that is ONNX's own: ``com.microsoft.Gelu``.
        inputs: Names of the values that it reads; empty for an optional one that is not there.
        outputs: Names of the values that it computes.
        attributes: Those that are one whole number or one text.
        metadata: Its metadata.
    """

    name: str
    index: int
    operator: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    attributes: dict[str, int | str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def op_type(self) -> str:
        """The operator without its domain."""
        return self.operator.rpartition(".")[2]


class Weight(NamedTuple):
    """A weight's shape, and its bytes."""

    shape: Shape
    bytes: int


@dataclass(frozen=True)
class Graph:
    """The nodes of a model in the file's order, subgraphs included, and its weights by name."""

    nodes: tuple[GraphNode, ...] = ()
    weights: dict[str, Weight] = field(default_factory=dict)


def read_graph(source: str | bytes | Path) -> Graph:
    """The graph of a model file, or of a model's bytes.

    Raises:
        LoadError: There is no such file, or it is no model.
    """
    model = source if isinstance(source, bytes) else str(source)
    nodes: list[GraphNode] = []
    weights: dict[str, Weight] = {}
    with open_model(model) as data:
        header = read_header(data, str(source) if isinstance(source, str | Path) else "the model")
        # ONNX Runtime reads the same bytes: what is not understood here goes without a module path.
        with contextlib.suppress(ValueError):
            _add_graph(data, *header.graph, nodes, weights)
    return Graph(tuple(nodes), weights)


def _add_graph(
    data: memoryview, start: int, end: int, nodes: list[GraphNode], weights: dict[str, Weight]
) -> None:
    index = 0
    for item in fields(data, start, end):
        if item.wire != BYTES:
            continue
        if item.number == NODE:
            _add_node(data, item, index, nodes, weights)
            index += 1
        elif item.number == INITIALIZER:
            name, weight = _weight(data, item)
            weights[name] = weight


def _add_node(
    data: memoryview,
    item: Field,
    index: int,
    nodes: list[GraphNode],
    weights: dict[str, Weight],
) -> None:
    texts: dict[int, list[str]] = {}
    attributes: dict[str, int | str] = {}
    metadata: dict[str, str] = {}
    place = len(nodes)
    for part in fields(data, item.start, item.end):
        if part.wire != BYTES:
            continue
        if part.number == ATTRIBUTE:
            _add_attribute(data, part, attributes, nodes, weights)
        elif part.number == METADATA:
            key, value = entry(data, part)
            metadata[key] = value
        elif part.number in (INPUT, OUTPUT, NAME, OP_TYPE, DOMAIN):
            texts.setdefault(part.number, []).append(_text(data, part))
    domain = "".join(texts.get(DOMAIN, []))
    operator = "".join(texts.get(OP_TYPE, []))
    node = GraphNode(
        name="".join(texts.get(NAME, [])),
        index=index,
        operator=qualified(domain, operator),
        inputs=tuple(texts.get(INPUT, ())),
        outputs=tuple(texts.get(OUTPUT, ())),
        attributes=attributes,
        metadata=metadata,
    )
    nodes.insert(place, node)


def qualified(domain: str, op_type: str) -> str:
    """An operator's name with its domain, unless that is ONNX's own."""
    return f"{domain}.{op_type}" if domain not in ("", "ai.onnx") else op_type


def _add_attribute(
    data: memoryview,
    item: Field,
    attributes: dict[str, int | str],
    nodes: list[GraphNode],
    weights: dict[str, Weight],
) -> None:
    name = ""
    value: int | str | None = None
    for part in fields(data, item.start, item.end):
        if part.number == ATTRIBUTE_NAME and part.wire == BYTES:
            name = _text(data, part)
        elif part.number == ATTRIBUTE_INT and part.wire == VARINT:
            value = _signed(varint(data, part.start, part.end)[0])
        elif part.number == ATTRIBUTE_STRING and part.wire == BYTES:
            value = _text(data, part)
        elif part.number == ATTRIBUTE_GRAPH and part.wire == BYTES:
            _add_graph(data, part.start, part.end, nodes, weights)
    if value is not None:
        attributes[name] = value


def _weight(data: memoryview, item: Field) -> tuple[str, Weight]:
    name, bits = "", 0
    dims: list[int] = []
    for part in fields(data, item.start, item.end):
        if part.number == TENSOR_DIMS:
            dims += _numbers(data, part)
        elif part.number == TENSOR_TYPE and part.wire == VARINT:
            bits = BITS.get(varint(data, part.start, part.end)[0], 0)
        elif part.number == TENSOR_NAME and part.wire == BYTES:
            name = _text(data, part)
    return name, Weight(tuple(dims), (math.prod(dims) * bits + 7) // 8)


def _numbers(data: memoryview, item: Field) -> Iterator[int]:
    """The whole numbers of a repeated field, packed or not."""
    position = item.start
    while position < item.end:
        value, position = varint(data, position, item.end)
        yield _signed(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(data: memoryview, item: Field) -> str:
    end = min(item.end, item.start + _LONGEST_TEXT)
    return bytes(data[item.start : end]).decode("utf-8", "replace")


def size(shape: Shape) -> int:
    """How many elements a tensor of this shape has."""
    return math.prod(shape)

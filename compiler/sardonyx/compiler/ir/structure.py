"""Structural equality: what a model computes and how, whatever its values and nodes are called.

Two models are equal when they have the same inputs (dtype and shape, by position), the same
outputs (by position), and the same nodes: operator, attributes, operands, constants, subgraphs and
what these capture. The order of independent nodes, names, documentation, metadata and the inferred
types of intermediate values do not count. Nodes and constants that nothing reads do.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

_SMALL = 256
_MAIN = "main"
_FUNCTION = "function"
_LITTLE_FLOATS = {ir.AttributeType.FLOAT: "<f", ir.AttributeType.FLOATS: "<f"}


@dataclass(frozen=True)
class Fingerprint:
    """A digest of a model's structure.

    Attributes:
        digest: Equal for equal structures.
        tensors: The constants that the digest knows by identity. They are kept alive so that no
            new constant takes the place of one in memory, and with it its identity.
    """

    digest: bytes
    tensors: tuple[ir.TensorProtocol, ...] = field(compare=False, repr=False, default=())


def fingerprint(model: ir.Model, *, content: bool = False) -> Fingerprint:
    """Return a digest of a model's structure.

    Args:
        model: The model, its nodes in topological order.
        content: Read all constants. By default small ones count by content and large ones by
            identity (the tensor object), so that no weights are read: such digests are comparable
            within a process only.
    """
    walk = _Walk(content)
    parts = [walk.graph(model.graph, _MAIN), repr(sorted(model.opset_imports.items())).encode()]
    for identifier, function in sorted(model.functions.items()):
        defaults = [walk.attribute(a) for a in _by_name(function.attributes)]
        opsets = repr(sorted(function.opset_imports.items())).encode()
        parts += [
            repr(identifier).encode(),
            *defaults,
            opsets,
            walk.graph(function.graph, _FUNCTION),
        ]
    return Fingerprint(_digest(*parts), tuple(walk.tensors))


def equal(a: ir.Model, b: ir.Model) -> bool:
    """Say whether two models have the same structure and the same constants, to the last bit."""
    if fingerprint(a) == fingerprint(b):
        return True
    return fingerprint(a, content=True) == fingerprint(b, content=True)


def tensor_key(tensor: ir.TensorProtocol, *, content: bool = False) -> Hashable:
    """Return what two tensors have in common when they are the same constant.

    Args:
        tensor: The tensor.
        content: Read the elements of a large tensor too; otherwise it is the same constant only
            as itself.
    """
    header = (tensor.dtype, tensor.shape.numpy())
    is_in_memory = not isinstance(tensor, (ir.ExternalTensor, ir.LazyTensor))
    is_small = tensor.size <= _SMALL
    is_read = content or (is_small and is_in_memory)
    return (*header, _content(tensor) if is_read else id(tensor))


def attributes_key(node: ir.Node) -> Hashable:
    """Return what the attributes of equal nodes have in common; subgraphs count by identity."""
    return tuple((a.name, _attribute_key(a)) for a in _by_name(node.attributes))


def node_key(node: ir.Node) -> Hashable:
    """Return what two nodes have in common when they compute the same from the same operands."""
    operator = (node.domain, node.op_type, node.overload)
    return (*operator, tuple(node.inputs), attributes_key(node), _asked(node))


def _attribute_key(attribute: ir.Attr) -> Hashable:
    if attribute.is_ref():
        return ("ref", attribute.type, attribute.ref_attr_name)
    value: Any = attribute.value
    if attribute.type == ir.AttributeType.TENSOR:
        return tensor_key(value)
    if attribute.type == ir.AttributeType.TENSORS:
        return tuple(map(tensor_key, value))
    if attribute.type in {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}:
        return (attribute.type, id(value))
    return (attribute.type, _plain(attribute))


def _plain(attribute: ir.Attr) -> bytes:
    """Return the value of an attribute that is neither tensor nor graph, floats as float32."""
    value = attribute.value
    form = _LITTLE_FLOATS.get(attribute.type)
    if form is None or value is None:
        return repr(value).encode()
    numbers = value if isinstance(value, tuple) else (value,)
    return b"".join(struct.pack(form, np.float32(x)) for x in numbers)


def _content(tensor: ir.TensorProtocol) -> bytes:
    if tensor.dtype == ir.DataType.STRING:
        elements = np.asarray(tensor.numpy()).reshape(-1).tolist()
        return _digest(*(e if isinstance(e, bytes) else str(e).encode() for e in elements))
    return _digest(tensor.tobytes())


def _asked(node: ir.Node) -> bytes:
    """Say which outputs are asked for: one without a name is not, nor are those after the last."""
    return bytes(bool(v.name) for v in node.outputs).rstrip(b"\0")


def _by_name(attributes: Mapping[str, ir.Attr]) -> list[ir.Attr]:
    return sorted(attributes.values(), key=lambda a: a.name)


def _digest(*parts: bytes) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.digest()


class _Walk:
    """Gives each value a digest of how it is computed."""

    def __init__(self, content: bool) -> None:
        self._content = content
        self._values: dict[ir.Value | None, bytes] = {None: b"none"}
        self.tensors: list[ir.TensorProtocol] = []

    def graph(self, graph: ir.Graph, place: str) -> bytes:
        """Return the digest of a graph; `place` tells its inputs from those of enclosing graphs."""
        # Only the main graph's input types are said by the model. Those of subgraphs are inferred
        # from what is passed to them, and functions are not typed: their calls are.
        types = [(v.type, v.shape) if place == _MAIN else () for v in graph.inputs]
        inputs = [repr((place, i, type_)).encode() for i, type_ in enumerate(types)]
        self._values.update(zip(graph.inputs, map(_digest, inputs), strict=True))
        unread = []
        for value in graph.initializers.values():
            made = self._constant(value.const_value)
            if value.is_graph_input():
                # A default that the caller may override.
                unread.append(self._values[value] + made)
                continue
            self._values[value] = made
            if not value.uses():
                unread.append(made)
        nodes = [self._node(node, place) for node in graph]
        outputs = [self._values.get(v, b"undefined") for v in graph.outputs]
        sections: Iterable[Iterable[bytes]] = (inputs, outputs, sorted(unread), sorted(nodes))
        return _digest(*(_digest(*section) for section in sections))

    def attribute(self, attribute: ir.Attr, place: str = "") -> bytes:
        """Return the digest of an attribute."""
        kind = attribute.type
        if attribute.is_ref() or attribute.value is None:
            value = repr(attribute.ref_attr_name).encode()
        elif kind == ir.AttributeType.TENSOR:
            value = self._constant(attribute.as_tensor())
        elif kind == ir.AttributeType.TENSORS:
            value = _digest(*map(self._constant, attribute.as_tensors()))
        elif kind == ir.AttributeType.GRAPH:
            value = self.graph(attribute.as_graph(), f"{place}.{attribute.name}")
        elif kind == ir.AttributeType.GRAPHS:
            graphs = enumerate(attribute.as_graphs())
            value = _digest(*(self.graph(g, f"{place}.{attribute.name}{i}") for i, g in graphs))
        else:
            value = _plain(attribute)
        return _digest(attribute.name.encode(), kind.name.encode(), value)

    def _node(self, node: ir.Node, place: str) -> bytes:
        made = _digest(
            repr((node.domain, node.op_type, node.overload)).encode(),
            _asked(node),
            *(self._values.get(v, b"undefined") for v in node.inputs),
            *(self.attribute(a, place) for a in _by_name(node.attributes)),
        )
        for index, value in enumerate(node.outputs):
            self._values[value] = _digest(made, index.to_bytes(4, "little"))
        return made

    def _constant(self, tensor: ir.TensorProtocol | None) -> bytes:
        if tensor is None:
            return b"no tensor"
        self.tensors.append(tensor)
        return _digest(repr(tensor_key(tensor, content=self._content)).encode())

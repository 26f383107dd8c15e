"""Spells what the ONNX textual syntax has no words for, and reads it back.

The syntax takes bare identifiers for operators, attributes and subgraphs, knows no literals for
packed, complex and some attribute types, and reads a subgraph whose name is a type as that type.
"""

from __future__ import annotations

import base64
import re

import onnx
import onnx_ir as ir

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MANGLED = re.compile(r"_x((?:[0-9a-f]{2})*)\Z")
_KEYWORDS = {"seq", "map", "optional", "sparse_tensor", "opaque", "nan", "inf", "infinity"}
_RESERVED = _KEYWORDS | {dtype.name.lower() for dtype in ir.DataType}

INLINE = "inline"
ELIDED = "elided"
ATTRIBUTE = "sardonyx.attribute:"
"""A string attribute that starts like this holds another attribute, serialised."""


def quoted(text: str) -> str:
    """Return a string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def identifier(name: str) -> str:
    """Return a name where the syntax takes a bare or a quoted one."""
    is_bare = _IDENTIFIER.match(name) and name.lower() not in _RESERVED
    return name if is_bare else quoted(name)


def word(name: str) -> str:
    """Return a name where the syntax takes a bare one only: others become `_x` and hex digits."""
    is_bare = _IDENTIFIER.match(name) and name.lower() not in _RESERVED
    return name if is_bare and not _MANGLED.match(name) else "_x" + name.encode().hex()


def dotted(domain: str) -> str:
    """Return a domain where the syntax takes words with dots between."""
    parts = domain.split(".")
    is_bare = all(_IDENTIFIER.match(p) for p in parts) and not _MANGLED.match(domain)
    return domain if is_bare else "_x" + domain.encode().hex()


def unmangled(text: str) -> str:
    """Return the name that `word` or `dotted` spelled."""
    found = _MANGLED.match(text)
    return bytes.fromhex(found[1]).decode() if found else text


def pack(proto: onnx.TensorProto | onnx.AttributeProto) -> str:
    """Return a message as base64 text."""
    return base64.b64encode(proto.SerializeToString(deterministic=True)).decode("ascii")


def restore(model: onnx.ModelProto) -> None:
    """Put back, in a parsed model, what was spelled in another way."""
    _restore_graph(model.graph)
    for function in model.functions:
        for default in function.attribute_proto:
            _restore_attribute(default)
        for node in function.node:
            _restore_node(node)


def _restore_graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _restore_tensor(tensor)
    for node in graph.node:
        _restore_node(node)


def _restore_node(node: onnx.NodeProto) -> None:
    for field in ("op_type", "domain", "overload"):
        text = getattr(node, field)
        if text.startswith("_x"):
            setattr(node, field, unmangled(text))
    for attribute in node.attribute:
        _restore_attribute(attribute)


def _restore_attribute(attribute: onnx.AttributeProto) -> None:
    name = unmangled(attribute.name)
    if attribute.type == onnx.AttributeProto.STRING and attribute.s.startswith(ATTRIBUTE.encode()):
        packed = base64.b64decode(attribute.s[len(ATTRIBUTE) :])
        attribute.CopyFrom(onnx.AttributeProto.FromString(packed))
        return
    attribute.name = name
    if attribute.type == onnx.AttributeProto.TENSOR:
        _restore_tensor(attribute.t)
    elif attribute.type == onnx.AttributeProto.GRAPH and not attribute.ref_attr_name:
        attribute.g.name = unmangled(attribute.g.name)
        _restore_graph(attribute.g)


def _restore_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if INLINE in entries:
        name = tensor.name
        tensor.CopyFrom(onnx.TensorProto.FromString(base64.b64decode(entries[INLINE])))
        tensor.name = name
    elif ELIDED in entries:
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=f"{ELIDED}:{entries[ELIDED]}")

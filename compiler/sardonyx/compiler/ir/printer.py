"""Prints models, graphs and nodes in the ONNX textual syntax, one deterministic line per thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.spelling import (
    ATTRIBUTE,
    ELIDED,
    INLINE,
    dotted,
    identifier,
    pack,
    quoted,
    word,
)

_INDENT = "   "
_MOST_LITERALS = 256
_LITERAL_BITS = {
    # The syntax writes these as integers of their bit patterns.
    ir.DataType.FLOAT16: np.uint16,
    ir.DataType.BFLOAT16: np.uint16,
    ir.DataType.FLOAT8E4M3FN: np.uint8,
    ir.DataType.FLOAT8E4M3FNUZ: np.uint8,
    ir.DataType.FLOAT8E5M2: np.uint8,
    ir.DataType.FLOAT8E5M2FNUZ: np.uint8,
    ir.DataType.FLOAT8E8M0: np.uint8,
    ir.DataType.BOOL: np.uint8,
}
_LITERAL_DTYPES = {
    *_LITERAL_BITS,
    ir.DataType.FLOAT,
    ir.DataType.DOUBLE,
    ir.DataType.INT8,
    ir.DataType.INT16,
    ir.DataType.INT32,
    ir.DataType.INT64,
    ir.DataType.UINT8,
    ir.DataType.UINT16,
    ir.DataType.UINT32,
    ir.DataType.UINT64,
    ir.DataType.STRING,
}


@dataclass
class Printer:
    """Turns parts of a model into text.

    Attributes:
        elide: Tensors of more elements than this are left out; None keeps all. Strings stay:
            onnx_ir has no tensor of strings whose elements are elsewhere.
        brief: Leave out node names, and write value types as comments.
        elided: The tensors left out so far, in the order of their numbers in the text.
    """

    elide: int | None = None
    brief: bool = False
    elided: list[ir.TensorProtocol] = field(default_factory=list)

    def model(self, model: ir.Model) -> str:
        """Return the text of a model."""
        entries = [
            f"ir_version: {model.ir_version}",
            f"opset_import: {_opsets(model.opset_imports)}",
        ]
        for key, value in (
            ("producer_name", model.producer_name),
            ("producer_version", model.producer_version),
            ("domain", model.domain),
        ):
            if value:
                entries.append(f"{key}: {quoted(value)}")
        if model.model_version:
            entries.append(f"model_version: {model.model_version}")
        if model.doc_string and not self.brief:
            entries.append(f"doc_string: {quoted(model.doc_string)}")
        if model.metadata_props:
            props = (f"{quoted(k)}: {quoted(v)}" for k, v in sorted(model.metadata_props.items()))
            entries.append(f"metadata_props: [{', '.join(props)}]")
        header = "<\n" + ",\n".join(_INDENT + e for e in entries) + "\n>\n"
        parts = [header + identifier(model.graph.name or "") + " " + self.graph(model.graph, "")]
        parts += [self.function(f) for _, f in sorted(model.functions.items())]
        return "\n".join(parts) + "\n"

    def function(self, function: ir.Function) -> str:
        """Return the text of a model-local function."""
        overload = f", overload: {quoted(function.overload)}" if function.overload else ""
        opsets = _opsets(function.opset_imports)
        header = f"<domain: {quoted(function.domain)}{overload}, opset_import: {opsets}>\n"
        attributes = ", ".join(
            identifier(a.name) if a.type == ir.AttributeType.UNDEFINED else self.attribute(a, "")
            for a in sorted(function.attributes.values(), key=lambda a: a.name)
        )
        signature = f"{identifier(function.name)} " + (f"<{attributes}> " if attributes else "")
        signature += f"({_names(function.inputs)}) => ({_names(function.outputs)})\n"
        outputs = (v for node in function for v in node.outputs)
        infos = [] if self.brief else [*function.inputs, *outputs]
        declared = self._block((_typed(v) for v in infos if v.type is not None), "")
        return header + signature + declared + self._nodes(function, "")

    def graph(self, graph: ir.Graph, indent: str) -> str:
        """Return the text of a graph without its name."""
        inputs = ", ".join(map(_typed, graph.inputs))
        outputs = ", ".join(map(_typed, graph.outputs))
        lines = [
            f"{_tensor_type(v.const_value)} {identifier(v.name or '')} = "
            + self._tensor_data(v.const_value)
            for v in graph.initializers.values()
            if v.const_value is not None
        ]
        if not self.brief:
            made = (v for node in graph for v in node.outputs)
            lines += [
                _typed(v) for v in made if v.name and v.type is not None and not v.is_graph_output()
            ]
        return (
            f"({inputs}) => ({outputs})\n" + self._block(lines, indent) + self._nodes(graph, indent)
        )

    def node(self, node: ir.Node, indent: str = "") -> str:
        """Return the line of a node; subgraphs make it several."""
        name = f"[{identifier(node.name)}] " if node.name and not self.brief else ""
        outputs = ", ".join(identifier(v.name or "") for v in _without_trailing(node.outputs))
        domain = dotted(node.domain) + "." if node.domain else ""
        overload = f":{word(node.overload)}" if node.overload else ""
        ordered = sorted(node.attributes.values(), key=lambda a: a.name)
        attributes = ", ".join(self.attribute(a, indent) for a in ordered)
        operator = f"{domain}{word(node.op_type)}{overload}"
        inputs = ", ".join('""' if v is None else identifier(v.name or "") for v in node.inputs)
        is_nested = any(a.type == ir.AttributeType.GRAPH and not a.is_ref() for a in ordered)
        call = f"{operator} ({inputs})"
        if attributes:
            call = (
                f"{call} <{attributes}>" if is_nested else f"{operator} <{attributes}> ({inputs})"
            )
        return f"{indent}{name}{outputs} = {call}{self._comment(node)}"

    def attribute(self, attribute: ir.Attr, indent: str) -> str:
        """Return `name: type = value`."""
        name = word(attribute.name)
        if attribute.is_ref():
            reference = identifier(attribute.ref_attr_name or "")
            return f"{name}: {attribute.type.name.lower()} = @{reference}"
        if attribute.type == ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            text = self.graph(graph, indent + _INDENT)
            return f"{name}: graph = {word(graph.name or '')} {text}"
        if attribute.type == ir.AttributeType.TENSOR:
            tensor = attribute.as_tensor()
            return f"{name}: tensor = {_tensor_type(tensor)} = {self._tensor_data(tensor)}"
        spell = _SPELL.get(attribute.type)
        value = spell(attribute.value) if spell is not None else None
        if value is None:
            packed = pack(ir.to_proto(attribute))
            return f"{name}: string = {quoted(ATTRIBUTE + packed)}"
        return f"{name}: {attribute.type.name.lower()} = {value}"

    def _block(self, lines: Iterable[str], indent: str) -> str:
        lines = list(lines)
        if not lines:
            return ""
        body = ",\n".join(indent + _INDENT + line for line in lines)
        return f"{indent}<\n{body}\n{indent}>\n"

    def _nodes(self, nodes: Iterable[ir.Node], indent: str) -> str:
        lines = [self.node(node, indent + _INDENT) for node in nodes]
        return f"{indent}{{\n" + "".join(line + "\n" for line in lines) + f"{indent}}}"

    def _comment(self, node: ir.Node) -> str:
        if not self.brief:
            return ""
        types = ", ".join(type_text(v.type, v.shape) or "?" for v in node.outputs)
        notes = "; ".join([types, *provenance.sources(node)[:1]])
        return "  # " + re.sub(r"\s+", " ", notes)

    def _tensor_data(self, tensor: ir.TensorProtocol | None) -> str:
        if tensor is None:
            return "{}"
        is_large = self.elide is not None and tensor.size > self.elide
        if is_large and tensor.dtype != ir.DataType.STRING:
            self.elided.append(tensor)
            return f'["{ELIDED}": "{len(self.elided) - 1}"]'
        literals = _literals(tensor)
        if literals is None:
            return f'["{INLINE}": "{pack(_to_proto(tensor))}"]'
        return "{" + ", ".join(literals) + "}"


def type_text(type_: ir.TypeProtocol | None, shape: ir.Shape | None) -> str:
    """Return a type, `float[batch, 3]`; "" where nothing is known."""
    if isinstance(type_, (ir.SequenceType, ir.OptionalType)):
        kind = "seq" if isinstance(type_, ir.SequenceType) else "optional"
        inner = type_text(type_.elem_type, shape)
        return f"{kind}({inner})" if inner else ""
    if type_ is None or type_.dtype in {None, ir.DataType.UNDEFINED}:
        return ""
    text = type_.dtype.name.lower()
    if shape is None:
        text += "[]"
    elif len(shape):
        text += "[" + ",".join(map(_dim_text, shape)) + "]"
    return f"sparse_tensor({text})" if isinstance(type_, ir.SparseTensorType) else text


def _dim_text(dim: int | ir.SymbolicDim) -> str:
    if isinstance(dim, int):
        return str(dim)
    return "?" if dim.value is None else identifier(dim.value)


def _typed(value: ir.Value) -> str:
    return f"{type_text(value.type, value.shape)} {identifier(value.name or '')}".strip()


def _tensor_type(tensor: ir.TensorProtocol | None) -> str:
    if tensor is None:
        return ""
    return type_text(ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy()))


def _names(values: Iterable[ir.Value]) -> str:
    return ", ".join(identifier(v.name or "") for v in values)


def _without_trailing(outputs: Sequence[ir.Value]) -> Sequence[ir.Value]:
    count = len(outputs)
    while count and not outputs[count - 1].name:
        count -= 1
    return outputs[:count]


def _opsets(imports: dict[str, int]) -> str:
    return "[" + ", ".join(f"{quoted(d)} : {v}" for d, v in sorted(imports.items())) + "]"


def _float(value: float) -> str | None:
    """Return a float32 literal; a NaN that the syntax would change has none."""
    as_float = np.float32(value)
    return str(as_float) if not np.isnan(as_float) else None


def _string(value: Any) -> str | None:
    is_plain = isinstance(value, str) and not value.startswith(ATTRIBUTE) and "\0" not in value
    return quoted(value) if is_plain else None


def _type_proto(value: Any) -> str | None:
    return type_text(value.type, value.shape) or None


def _list(spell: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def all_of(values: Any) -> str | None:
        words = [w for v in values if (w := spell(v)) is not None]
        return "[" + ", ".join(words) + "]" if len(words) == len(values) else None

    return all_of


_SPELL: dict[ir.AttributeType, Callable[[Any], str | None]] = {
    ir.AttributeType.INT: str,
    ir.AttributeType.INTS: _list(str),
    ir.AttributeType.FLOAT: _float,
    ir.AttributeType.FLOATS: _list(_float),
    ir.AttributeType.STRING: _string,
    ir.AttributeType.STRINGS: _list(_string),
    ir.AttributeType.TYPE_PROTO: _type_proto,
}


def _literals(tensor: ir.TensorProtocol) -> list[str] | None:
    """Return the elements as literals, or None where literals would be many or not exact."""
    dtype = tensor.dtype
    if tensor.size > _MOST_LITERALS or dtype not in _LITERAL_DTYPES:
        return None
    if dtype == ir.DataType.STRING:
        try:
            texts = [_string(s.decode()) for s in _strings(tensor)]
        except UnicodeDecodeError:
            return None
        return None if None in texts else [t for t in texts if t is not None]
    array = np.asarray(tensor.numpy()).reshape(-1)
    if dtype in _LITERAL_BITS:
        array = array.view(_LITERAL_BITS[dtype])
    elif array.dtype.kind == "f" and np.isnan(array).any():
        return None
    return [str(element) for element in array]


def _strings(tensor: ir.TensorProtocol) -> Sequence[bytes]:
    if isinstance(tensor, ir.StringTensor):
        return tensor.string_data()
    elements = np.asarray(tensor.numpy()).reshape(-1)
    return [e if isinstance(e, bytes) else str(e).encode() for e in elements]


def _to_proto(tensor: ir.TensorProtocol) -> onnx.TensorProto:
    proto = onnx.TensorProto(data_type=int(tensor.dtype), dims=tensor.shape.numpy())
    if tensor.dtype == ir.DataType.STRING:
        proto.string_data.extend(_strings(tensor))
    else:
        proto.raw_data = tensor.tobytes()
    return proto

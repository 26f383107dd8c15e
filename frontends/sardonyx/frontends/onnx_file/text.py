"""Checks of the names in a model file: they end up in messages, logs and other files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.walk import all_graphs, all_nodes, node_lists
from sardonyx.frontends.onnx_file.where import quoted


def check_text(model: onnx.ModelProto, limits: Limits) -> None:
    """Check that names are short, printable text, and that other text is text.

    Raises:
        InvalidModelError: One is not: protobuf hands out as bytes what is no UTF-8.
        UnsupportedError: One is too long.
    """
    for scope, names in _names(model):
        for name in names:
            _check_name(name, scope, limits)
    for scope, texts in _texts(model):
        wrong = next((text for text in texts if not isinstance(text, str)), None)
        if wrong is not None:
            raise InvalidModelError("Metadata is not UTF-8 text.", where=scope, found=_cut(wrong))


def _check_name(name: object, scope: str, limits: Limits) -> None:
    if not isinstance(name, str):
        raise InvalidModelError("A name is not UTF-8 text.", where=scope, found=_cut(name))
    if len(name) > limits.name_length:
        limits.check("name_length", len(name), f"The name {quoted(name)} is too long.", scope)
    if not name.isprintable():
        raise InvalidModelError(
            "A name has characters that cannot be printed.",
            where=scope,
            found=quoted(name),
            expected="no line breaks, zeros or other control characters",
        )


def _cut(text: object) -> str:
    return repr(text)[:80]


def _names(model: onnx.ModelProto) -> Iterator[tuple[str, Iterable[str]]]:
    yield "the model", [e.domain for e in model.opset_import]
    yield "the model", [p.key for p in model.metadata_props]
    for function in model.functions:
        yield "the functions", [function.domain, function.name, function.overload]
        yield "the functions", [*function.input, *function.output, *function.attribute]
        yield "the functions", [attribute.name for attribute in function.attribute_proto]
        yield "the functions", [e.domain for e in function.opset_import]
    for graph in all_graphs(model):
        values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
        yield "a graph", [graph.name, *(value.name for value in values)]
        yield "a graph", [sparse.values.name for sparse in graph.sparse_initializer]
    for node in _nodes(model):
        yield "a node", [node.op_type, node.name, node.domain, node.overload]
        yield "a node", [*node.input, *node.output]
        yield "a node", [text for a in node.attribute for text in (a.name, a.ref_attr_name)]
        yield "a node", [p.key for p in node.metadata_props]


def _texts(model: onnx.ModelProto) -> Iterator[tuple[str, Iterable[str]]]:
    yield "the model", [model.producer_name, model.producer_version, model.doc_string]
    yield "the model", [p.value for p in model.metadata_props]
    for graph in all_graphs(model):
        yield "a graph", [text for p in graph.metadata_props for text in (p.key, p.value)]
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield "a graph", [text for p in value.metadata_props for text in (p.key, p.value)]
    for node in _nodes(model):
        yield "a node", [node.doc_string, *(p.value for p in node.metadata_props)]


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for nodes in node_lists(model):
        yield from all_nodes(nodes)

"""A model as protobuf without the elements of its initializers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
import onnx_ir as ir

from sardonyx.compiler.export.wire import Initializer


def skeleton(model: ir.Model) -> tuple[onnx.ModelProto, list[Initializer]]:
    """Return a model without the initializers of its main graph, and these in order of use.

    The types of intermediate values stay out: a runtime infers them, and what nobody checks
    against the model can only be wrong in it.
    """
    held = {name: value.const_value for name, value in model.graph.initializers.items()}
    order = list(dict.fromkeys([*_names_in_use(model, held), *held]))
    bare = model.clone()
    for name, value in bare.graph.initializers.items():
        value.const_value = _stub(held[name])
    _forget_types(bare)
    proto: onnx.ModelProto = ir.to_proto(bare)
    del proto.graph.initializer[:]
    _tidy_graph(proto.graph)
    for function in proto.functions:
        del function.value_info[:]
        _tidy_nodes(function.node)
    return proto, [_initializer(name, held[name]) for name in order]


def _forget_types(model: ir.Model) -> None:
    """Let no time be spent on writing the types of intermediate values."""
    for node in model.graph.all_nodes():
        for value in node.outputs:
            if not value.is_graph_output():
                value.type = value.shape = None


def _stub(tensor: ir.TensorProtocol | None) -> ir.TensorProtocol | None:
    """Return something that serialises quickly; it is taken out again."""
    if tensor is None:
        return None
    return ir.ExternalTensor(
        "-", None, None, ir.DataType.FLOAT, shape=ir.Shape([0]), name=tensor.name or "", base_dir=""
    )


def _names_in_use(model: ir.Model, held: Iterable[str]) -> Iterator[str]:
    known = set(held)
    for node in model.graph.all_nodes():
        for value in node.inputs:
            if value is not None and value.is_initializer() and value.name in known:
                yield value.name


def _initializer(name: str, tensor: ir.TensorProtocol | None) -> Initializer:
    if tensor is None:
        return Initializer(onnx.TensorProto(name=name))
    proto = onnx.TensorProto(
        name=name, data_type=int(tensor.dtype), dims=list(tensor.shape.numpy())
    )
    if tensor.dtype != ir.DataType.STRING:
        return Initializer(proto, tensor)
    said: onnx.TensorProto = ir.to_proto(tensor)
    proto.string_data.extend(said.string_data)
    return Initializer(proto)


def _tidy_graph(graph: onnx.GraphProto) -> None:
    del graph.value_info[:]
    _tidy_nodes(graph.node)


def _tidy_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        node.attribute.sort(key=lambda attribute: attribute.name)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _tidy_graph(attribute.g)
            for graph in attribute.graphs:
                _tidy_graph(graph)

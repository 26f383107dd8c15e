"""Sparse tensors become dense ones: onnx_ir reads neither sparse weights nor sparse constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from sardonyx.compiler.errors import InvalidModelError, UnsupportedError
from sardonyx.frontends.onnx_file.structure import all_graphs
from sardonyx.frontends.onnx_file.where import node_place, quoted, scope_name

_MOST_BYTES = 1 << 28
Array = np.ndarray[Any, Any]


def has_sparse(model: onnx.ModelProto) -> bool:
    """Say whether a model has sparse tensors anywhere."""
    return any(g.sparse_initializer for g in all_graphs(model)) or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors
        for nodes, _ in _node_lists(model)
        for node in nodes
        for attribute in node.attribute
    )


def make_dense(model: onnx.ModelProto, label: str) -> None:
    """Replace the sparse initializers and constants of a model by dense ones, in place.

    Raises:
        InvalidModelError: The indices of a sparse tensor do not fit its shape.
        UnsupportedError: The dense form is too large, or a node other than Constant has one.
    """
    for graph in all_graphs(model):
        for sparse in graph.sparse_initializer:
            where = f"{label}: sparse initializer {quoted(sparse.values.name)}"
            graph.initializer.append(_dense(sparse, where))
        del graph.sparse_initializer[:]
    for nodes, scope in _node_lists(model):
        for index, node in enumerate(nodes):
            for attribute in node.attribute:
                if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                    _densify(node, attribute, f"{label}: {node_place(node, index, scope)}")


def _densify(node: onnx.NodeProto, attribute: onnx.AttributeProto, where: str) -> None:
    if node.op_type != "Constant" or attribute.name != "sparse_value":
        raise UnsupportedError(
            "Only constants and initializers may be sparse.",
            where=where,
            found=f"attribute {quoted(attribute.name)}",
            remedy="export the model with dense tensors",
        )
    dense = _dense(attribute.sparse_tensor, where)
    attribute.Clear()
    attribute.name = "value"
    attribute.type = onnx.AttributeProto.TENSOR
    attribute.t.CopyFrom(dense)


def _dense(sparse: onnx.SparseTensorProto, where: str) -> onnx.TensorProto:
    dims = list(sparse.dims)
    count = int(np.prod(dims, dtype=object)) if dims else 1
    values = numpy_helper.to_array(sparse.values)
    if any(d < 0 for d in dims) or count * max(values.itemsize, 1) > _MOST_BYTES:
        raise UnsupportedError(
            "A sparse tensor is too large to be made dense.",
            where=where,
            found=f"dims {dims}",
            expected=f"at most {_MOST_BYTES} bytes",
        )
    result = np.zeros(count, dtype=values.dtype)
    result[_flat_places(sparse, dims, count, values, where)] = values
    return numpy_helper.from_array(result.reshape(dims), sparse.values.name)


def _flat_places(
    sparse: onnx.SparseTensorProto, dims: list[int], count: int, values: Array, where: str
) -> Array:
    """Return the positions of the values in the flattened tensor; indices come in two forms."""
    places = numpy_helper.to_array(sparse.indices).astype(np.int64)
    is_inside = bool(np.all(places >= 0))
    if places.ndim == 2 and places.shape[1] == len(dims):
        is_inside = is_inside and bool(np.all(places < np.array(dims)))
        if is_inside:
            places = np.asarray(np.ravel_multi_index(tuple(places.T), dims)).reshape(-1)
    else:
        is_inside = is_inside and bool(np.all(places < count))
    if not is_inside or places.shape != values.shape or values.ndim != 1:
        raise InvalidModelError("The indices of a sparse tensor do not fit it.", where=where)
    return places


def _node_lists(model: onnx.ModelProto) -> Iterator[tuple[Iterable[onnx.NodeProto], str]]:
    for graph in all_graphs(model):
        yield graph.node, scope_name("graph", graph.name)
    for function in model.functions:
        yield function.node, scope_name("function", function.name)

"""Sparse tensors become dense ones: onnx_ir reads neither sparse weights nor sparse constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from sardonyx.compiler.errors import InvalidModelError, UnsupportedError
from sardonyx.frontends.onnx_file.external import Folders, read_external
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.tensors import byte_count, element_count
from sardonyx.frontends.onnx_file.walk import all_graphs
from sardonyx.frontends.onnx_file.where import node_place, quoted, scope_name

Array = np.ndarray[Any, Any]


def has_sparse(model: onnx.ModelProto) -> bool:
    """Say whether a model has sparse tensors anywhere."""
    return any(g.sparse_initializer for g in all_graphs(model)) or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors
        for nodes, _ in _node_lists(model)
        for node in nodes
        for attribute in node.attribute
    )


def make_dense(model: onnx.ModelProto, folders: Folders | None, label: str, limits: Limits) -> None:
    """Replace the sparse initializers and constants of a model by dense ones, in place.

    Args:
        model: The model; its tensors were checked.
        folders: Where external data lies.
        label: How to call the file in messages.
        limits: What the dense tensors may take in all.

    Raises:
        InvalidModelError: The indices of a sparse tensor do not fit its shape.
        UnsupportedError: The dense form is too large, or a node other than Constant has one.
    """
    maker = _Dense(folders, limits)
    for graph in all_graphs(model):
        for sparse in graph.sparse_initializer:
            where = f"{label}: sparse initializer {quoted(sparse.values.name)}"
            graph.initializer.append(maker.dense(sparse, where))
        del graph.sparse_initializer[:]
    for nodes, scope in _node_lists(model):
        for index, node in enumerate(nodes):
            for attribute in node.attribute:
                if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                    place = f"{label}: {node_place(node, index, scope)}"
                    _densify(node, attribute, maker, place)


def _densify(
    node: onnx.NodeProto, attribute: onnx.AttributeProto, maker: _Dense, where: str
) -> None:
    if node.op_type != "Constant" or attribute.name != "sparse_value":
        raise UnsupportedError(
            "Only constants and initializers may be sparse.",
            where=where,
            found=f"attribute {quoted(attribute.name)}",
            remedy="export the model with dense tensors",
        )
    dense = maker.dense(attribute.sparse_tensor, where)
    attribute.Clear()
    attribute.name = "value"
    attribute.type = onnx.AttributeProto.TENSOR
    attribute.t.CopyFrom(dense)


class _Dense:
    """Makes tensors dense, and counts what they take."""

    def __init__(self, folders: Folders | None, limits: Limits) -> None:
        self._folders = folders
        self._limits = limits
        self._bytes = 0

    def dense(self, sparse: onnx.SparseTensorProto, where: str) -> onnx.TensorProto:
        """Return a sparse tensor as a dense one."""
        self._limits.check("rank", len(sparse.dims), "A tensor has too many dimensions.", where)
        dims = list(sparse.dims)
        count = element_count(dims, where)
        dtype = ir.DataType(sparse.values.data_type)
        if dtype == ir.DataType.STRING or sparse.indices.data_type != ir.DataType.INT64:
            raise InvalidModelError(
                "A sparse tensor is of strings, or its indices are not of int64.", where=where
            )
        # An element of less than a byte takes one, until the tensor is stored.
        self._bytes += max(count, byte_count(dtype, count))
        self._limits.check(
            "dense_bytes", self._bytes, "Sparse tensors are too large to be made dense.", where
        )
        values = self._array(sparse.values, where)
        indices = self._array(sparse.indices, where)
        result = np.zeros(count, dtype=values.dtype)
        result[_flat_places(indices, dims, count, values, where)] = values
        return numpy_helper.from_array(result.reshape(dims), sparse.values.name)

    def _array(self, tensor: onnx.TensorProto, where: str) -> Array:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            assert self._folders is not None, "checked before"
            size = byte_count(ir.DataType(tensor.data_type), element_count(tensor.dims, where))
            self._limits.check("dense_bytes", size, "A sparse tensor is too large.", where)
            raw = read_external(tensor, size, self._folders, where)
            tensor = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=raw)
        return numpy_helper.to_array(tensor)


def _flat_places(indices: Array, dims: list[int], count: int, values: Array, where: str) -> Array:
    """Return the positions of the values in the flattened tensor; indices come in two forms."""
    places = indices
    is_inside = bool(np.all(places >= 0))
    if places.ndim == 2 and places.shape[1] == len(dims):
        is_inside = is_inside and bool(np.all(places < np.array(dims)))
        if is_inside:
            places = np.asarray(np.ravel_multi_index(tuple(places.T), dims)).reshape(-1)
    else:
        is_inside = is_inside and bool(np.all(places < count))
    if not is_inside or places.shape != values.shape or values.ndim != 1:
        raise InvalidModelError("The indices of a sparse tensor do not fit it.", where=where)
    if np.any(places[1:] <= places[:-1]):
        raise InvalidModelError(
            "The indices of a sparse tensor are not in ascending order, each once.", where=where
        )
    return places


def _node_lists(model: onnx.ModelProto) -> Iterator[tuple[Iterable[onnx.NodeProto], str]]:
    for graph in all_graphs(model):
        yield graph.node, scope_name("graph", graph.name)
    for function in model.functions:
        yield function.node, scope_name("function", function.name)

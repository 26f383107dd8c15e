"""Checks of the tensors in a model file: one field holds exactly what dtype and dims say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.external import Folders, check_external
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.value_types import LARGEST_DIM, check_rank
from sardonyx.frontends.onnx_file.where import node_place, quoted, scope_name

_MOST_ELEMENTS = 1 << 48
_WIDE = {ir.DataType.COMPLEX64: "float_data", ir.DataType.COMPLEX128: "double_data"}
_FIELD_OF = {
    ir.DataType.FLOAT: "float_data",
    ir.DataType.DOUBLE: "double_data",
    ir.DataType.INT64: "int64_data",
    ir.DataType.UINT32: "uint64_data",
    ir.DataType.UINT64: "uint64_data",
    ir.DataType.STRING: "string_data",
    **_WIDE,
}
_FIELDS = ("float_data", "double_data", "int32_data", "int64_data", "uint64_data", "string_data")


def all_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield every tensor of a model with the place it is in: weights, attributes, functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        scope = scope_name("function", function.name)
        yield from _node_tensors(function.node, scope)
        yield from _attribute_tensors(function.attribute_proto, scope)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    scope = scope_name("graph", graph.name)
    for tensor in graph.initializer:
        yield f"initializer {quoted(tensor.name)}, {scope}", tensor
    for sparse in graph.sparse_initializer:
        place = f"sparse initializer {quoted(sparse.values.name)}, {scope}"
        yield place, sparse.values
        yield f"indices of {place}", sparse.indices
    yield from _node_tensors(graph.node, scope)


def _node_tensors(
    nodes: Iterable[onnx.NodeProto], scope: str
) -> Iterator[tuple[str, onnx.TensorProto]]:
    for index, node in enumerate(nodes):
        if node.attribute:
            yield from _attribute_tensors(node.attribute, node_place(node, index, scope))


def _attribute_tensors(
    attributes: Iterable[onnx.AttributeProto], place: str
) -> Iterator[tuple[str, onnx.TensorProto]]:
    for attribute in attributes:
        here = f"attribute {quoted(attribute.name)} of {place}"
        if attribute.HasField("t"):
            yield here, attribute.t
        for tensor in attribute.tensors:
            yield here, tensor
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for item in (*sparse, *attribute.sparse_tensors):
            yield here, item.values
            yield f"indices of {here}", item.indices
        if attribute.HasField("g"):
            yield from _graph_tensors(attribute.g)
        for graph in attribute.graphs:
            yield from _graph_tensors(graph)


def check_tensors(
    model: onnx.ModelProto, folders: Folders | None, label: str, limits: Limits
) -> None:
    """Check the sizes and the external data of every tensor of a model.

    Args:
        model: The model.
        folders: Where external data may lie; None for a model that came without a path.
        label: How to call the file in messages.
        limits: What a tensor may be.

    Raises:
        InvalidModelError: A tensor does not hold what its dtype and dims say, or its external
            data is missing, too short or outside the folder of the model.
        UnsupportedError: A tensor has too many dimensions.
    """
    for place, tensor in all_tensors(model):
        where = f"{label}: {place}"
        check_rank(len(tensor.dims), where, limits)
        dtype, count = _elements(tensor, where)
        if tensor.HasField("segment"):
            raise InvalidModelError("A tensor is a segment of another one.", where=where)
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            _check_stored(tensor, dtype, count, where)
            continue
        if dtype == ir.DataType.STRING:
            raise InvalidModelError("A string tensor cannot be external data.", where=where)
        _demand_one(["external_data", *_filled(tensor)], where)
        check_external(tensor, byte_count(dtype, count), folders, where)


def _elements(tensor: onnx.TensorProto, where: str) -> tuple[ir.DataType, int]:
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        dtype = ir.DataType.UNDEFINED
    if dtype == ir.DataType.UNDEFINED:
        raise InvalidModelError(
            "A tensor has no known dtype.", where=where, found=f"data_type {tensor.data_type}"
        )
    return dtype, element_count(tensor.dims, where)


def element_count(dims: Sequence[int], where: str) -> int:
    """Return how many elements a tensor has.

    Raises:
        InvalidModelError: It can have no such dimensions.
    """
    count = 1
    for dim in dims:
        if dim < 0:
            raise InvalidModelError(
                "A tensor has a negative dimension.", where=where, found=f"{list(dims)}"
            )
        count *= dim
        if dim > LARGEST_DIM or count > _MOST_ELEMENTS:
            raise InvalidModelError(
                "A tensor has more elements than any memory holds.",
                where=where,
                found=f"{list(dims)}",
            )
    return count


def byte_count(dtype: ir.DataType, count: int) -> int:
    """Return how many bytes so many elements take; -1 for strings."""
    return (count * dtype.bitwidth + 7) // 8 if dtype != ir.DataType.STRING else -1


def _filled(tensor: onnx.TensorProto) -> list[str]:
    """Return the fields in which a tensor holds something."""
    filled = [name for name in _FIELDS if getattr(tensor, name)]
    # Readers look whether there are raw data, even if these are empty.
    has_raw = tensor.HasField("raw_data") and bool(tensor.raw_data or filled)
    return [*filled, "raw_data"] if has_raw else filled


def _demand_one(filled: list[str], where: str) -> None:
    if len(filled) > 1:
        raise InvalidModelError(
            "A tensor holds its elements twice.", where=where, found=" and ".join(filled)
        )


def _check_stored(tensor: onnx.TensorProto, dtype: ir.DataType, count: int, where: str) -> None:
    """Check that one field holds exactly the elements."""
    filled = _filled(tensor)
    _demand_one(filled, where)
    if tensor.external_data:
        raise InvalidModelError("A tensor names external data that it does not use.", where=where)
    raw = len(tensor.raw_data) if tensor.HasField("raw_data") else None
    if raw and dtype == ir.DataType.STRING:
        raise InvalidModelError("A string tensor cannot have raw data.", where=where)
    if raw is not None and dtype != ir.DataType.STRING and (raw or not filled):
        _demand(raw, byte_count(dtype, count), "bytes of raw data", tensor, where)
        return
    field = _FIELD_OF.get(dtype, "int32_data")
    if filled and filled != [field]:
        raise InvalidModelError(
            "A tensor holds its elements in the wrong field.",
            where=where,
            found=filled[0],
            expected=f"{field} for {dtype.name}",
        )
    per_field = 2 * count if dtype in _WIDE else count
    if dtype != ir.DataType.STRING and dtype.bitwidth in (2, 4):
        per_field = byte_count(dtype, count)
    _demand(len(getattr(tensor, field)), per_field, f"entries of {field}", tensor, where)


def _demand(found: int, expected: int, unit: str, tensor: onnx.TensorProto, where: str) -> None:
    if found != expected:
        raise InvalidModelError(
            "A tensor does not hold what its shape says.",
            where=where,
            found=f"{found} {unit}",
            expected=f"{expected} for dims {list(tensor.dims)}",
            remedy="the file is damaged, or its writer is broken: export the model again",
        )

"""Checks of the tensors in a model file: sizes that fit, external data that stays in its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
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


@dataclass(frozen=True)
class Folders:
    """Where external data may lie: beside the path given, or beside the file it links to."""

    path: str

    @property
    def candidates(self) -> list[str]:
        """The folders, the one of the given path first."""
        given = os.path.dirname(os.path.abspath(self.path))
        real = os.path.dirname(os.path.realpath(self.path))
        return list(dict.fromkeys((given, real)))

    def resolve(self, location: str) -> tuple[str, str] | None:
        """Return (real folder, path relative to it) of external data, None if it is outside."""
        for folder in self.candidates:
            real = os.path.realpath(os.path.join(folder, location))
            for inside in self.candidates:
                base = os.path.realpath(inside)
                if os.path.commonpath([base, real]) == base and os.path.exists(real):
                    return base, os.path.relpath(real, base)
        return None


def check_tensors(model: onnx.ModelProto, folders: Folders | None, label: str) -> None:
    """Check the sizes and the external data of every tensor of a model.

    Args:
        model: The model.
        folders: Where external data may lie; None for a model that came without a path.
        label: How to call the file in messages.

    Raises:
        InvalidModelError: A tensor does not hold what its dtype and dims say, or its external
            data is missing, too short or outside the folder of the model.
    """
    for place, tensor in all_tensors(model):
        where = f"{label}: {place}"
        dtype, count = _elements(tensor, where)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_external(tensor, dtype, _byte_count(dtype, count), folders, where)
        else:
            _check_stored(tensor, dtype, count, where)


def _elements(tensor: onnx.TensorProto, where: str) -> tuple[ir.DataType, int]:
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        dtype = ir.DataType.UNDEFINED
    if dtype == ir.DataType.UNDEFINED:
        raise InvalidModelError(
            "A tensor has no known dtype.", where=where, found=f"data_type {tensor.data_type}"
        )
    count = 1
    for dim in tensor.dims:
        if dim < 0:
            raise InvalidModelError(
                "A tensor has a negative dimension.", where=where, found=f"{list(tensor.dims)}"
            )
        count *= dim
    if count > _MOST_ELEMENTS:
        raise InvalidModelError(
            "A tensor has more elements than any memory holds.",
            where=where,
            found=f"{list(tensor.dims)}",
        )
    return dtype, count


def _byte_count(dtype: ir.DataType, count: int) -> int:
    return (count * dtype.bitwidth + 7) // 8 if dtype != ir.DataType.STRING else -1


def _check_stored(tensor: onnx.TensorProto, dtype: ir.DataType, count: int, where: str) -> None:
    """Check that one field holds exactly the elements."""
    filled = [name for name in _FIELDS if getattr(tensor, name)]
    raw = len(tensor.raw_data) if tensor.HasField("raw_data") else None
    if raw:
        filled.append("raw_data")
    if len(filled) > 1:
        raise InvalidModelError(
            "A tensor holds its elements twice.", where=where, found=" and ".join(filled)
        )
    if raw and dtype == ir.DataType.STRING:
        raise InvalidModelError("A string tensor cannot have raw data.", where=where)
    if raw is not None and dtype != ir.DataType.STRING and (raw or not filled):
        _demand(raw, _byte_count(dtype, count), "bytes of raw data", tensor, where)
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
        per_field = _byte_count(dtype, count)
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


def _check_external(
    tensor: onnx.TensorProto, dtype: ir.DataType, size: int, folders: Folders | None, where: str
) -> None:
    if dtype == ir.DataType.STRING:
        raise InvalidModelError("A string tensor cannot be external data.", where=where)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folders is None:
        raise InvalidModelError(
            "The model keeps weights in another file, and where that lies is not known.",
            where=where,
            found=f"external data {quoted(location)}",
            remedy="pass the path of the model file instead of its content",
        )
    if not _is_plain_relative(location):
        raise _bad_location(location, where, "is not a plain path below the model's folder")
    resolved = folders.resolve(location)
    if resolved is None:
        inside = any(os.path.lexists(os.path.join(f, location)) for f in folders.candidates)
        raise _bad_location(
            location, where, "leads out of the model's folder" if inside else "does not exist"
        )
    info = os.stat(os.path.join(*resolved))
    if not stat.S_ISREG(info.st_mode):
        raise _bad_location(location, where, "is no regular file")
    if info.st_nlink > 1:
        raise _bad_location(location, where, "has several hard links; copy the file")
    offset, length = (_natural(entries, key, where) for key in ("offset", "length"))
    if length is not None:
        _demand(length, size, "bytes of external data", tensor, where)
    if (offset or 0) + size > info.st_size:
        raise InvalidModelError(
            "An external data file is too short.",
            where=where,
            found=f"{quoted(location)} has {info.st_size} bytes",
            expected=f"at least {(offset or 0) + size}",
            remedy="copy the whole data file beside the model",
        )


def _is_plain_relative(location: str) -> bool:
    parts = location.split("/")
    has_drive = len(location) > 1 and location[1] == ":"
    is_odd = any(c in location for c in "\0\\") or "://" in location or has_drive
    return bool(location) and not is_odd and not location.startswith("/") and ".." not in parts


def _natural(entries: dict[str, str], key: str, where: str) -> int | None:
    if key not in entries:
        return None
    text = entries[key]
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidModelError(f"External data has a bad {key}.", where=where, found=quoted(text))
    return int(text)


def _bad_location(location: str, where: str, why: str) -> InvalidModelError:
    return InvalidModelError(
        f"An external data file {why}.",
        where=where,
        found=quoted(location),
        remedy="keep the data file beside the model file, under the name it was saved with",
    )


def set_folders(model: ir.Model, folders: Folders) -> None:
    """Tell every external tensor, wherever it is, the folder that its path starts from."""
    for graph in (model.graph, *(f.graph for f in model.functions.values())):
        for inner in (graph, *graph.subgraphs()):
            for value in inner.initializers.values():
                value.const_value = _placed(value.const_value, folders)
            for node in inner:
                _place_attributes(node, folders)


def _place_attributes(node: ir.Node, folders: Folders) -> None:
    for name, attr in list(node.attributes.items()):
        if attr.is_ref():
            continue
        if attr.type == ir.AttributeType.TENSOR:
            placed = _placed(attr.as_tensor(), folders)
            if placed is not attr.value and placed is not None:
                node.attributes[name] = ir.AttrTensor(name, placed)
        elif attr.type == ir.AttributeType.TENSORS:
            tensors = [_placed(t, folders) for t in attr.as_tensors()]
            node.attributes[name] = ir.AttrTensors(name, [t for t in tensors if t is not None])


def _placed(tensor: ir.TensorProtocol | None, folders: Folders) -> ir.TensorProtocol | None:
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    resolved = folders.resolve(str(tensor.location))
    assert resolved is not None, "checked before"
    base, location = resolved
    return ir.ExternalTensor(
        location,
        tensor.offset,
        tensor.length,
        tensor.dtype,
        shape=tensor.shape,
        name=tensor.name,
        doc_string=tensor.doc_string,
        metadata_props=dict(tensor.metadata_props),
        base_dir=base,
    )

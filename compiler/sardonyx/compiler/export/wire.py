"""Writes a model as protobuf, piece by piece, so that weights are never copied.

A ModelProto is its fields in any order, and a field is a tag, a length and a payload. So the graph
is written as what protobuf makes of it without its large initializers, followed by these, each as
a few bytes and the tensor's own memory. The order of the fields:

    all of the model but graph, metadata and functions; functions; metadata; graph; digest

The digest is one last metadata entry: the SHA-256 of all bytes before it. Its encoding has always
the same length, `DIGEST_BYTES`, so a reader can check a file without parsing it. Protobuf readers
see an ordinary model.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx.compiler.export.manifest import DIGEST

# Field numbers of ModelProto, GraphProto and TensorProto.
_GRAPH, _METADATA = 7, 14
_INITIALIZER = 5
_RAW_DATA = 9
_BYTES_WIRE_TYPE = 2
_MOST_PREFIX = 20
_CHUNK = 1 << 24


def digest_entry(digest: str) -> bytes:
    """Return the bytes of the last field of a file."""
    entry = onnx.StringStringEntryProto(key=DIGEST, value=digest)
    payload: bytes = entry.SerializeToString(deterministic=True)
    return _prefix(_METADATA, len(payload)) + payload


@dataclass(frozen=True)
class Initializer:
    """An initializer of the main graph.

    Attributes:
        proto: What protobuf says of it.
        tensor: Its elements, where protobuf does not say them.
    """

    proto: onnx.TensorProto
    tensor: ir.TensorProtocol | None = None

    @property
    def nbytes(self) -> int:
        """Length of the elements that protobuf does not say."""
        return self.tensor.nbytes if self.tensor is not None else 0


def model_chunks(
    proto: onnx.ModelProto, initializers: Sequence[Initializer]
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a model, its digest last.

    Args:
        proto: The model without the initializers of its main graph; not changed.
        initializers: These initializers, in the order to write them.
    """
    made = hashlib.sha256()
    for chunk in _body(proto, initializers):
        made.update(chunk)
        yield chunk
    yield digest_entry(made.hexdigest())


def model_size(proto: onnx.ModelProto, initializers: Sequence[Initializer]) -> int:
    """Return how many bytes a model has, or a few more."""
    size = int(proto.ByteSize()) + _MOST_PREFIX + DIGEST_BYTES
    for initializer in initializers:
        size += int(initializer.proto.ByteSize()) + initializer.nbytes + 2 * _MOST_PREFIX
    return size


def _body(
    proto: onnx.ModelProto, initializers: Sequence[Initializer]
) -> Iterator[bytes | memoryview]:
    graph: bytes = proto.graph.SerializeToString(deterministic=True)
    metadata = onnx.ModelProto(metadata_props=proto.metadata_props)
    rest = onnx.ModelProto()
    for field, value in proto.ListFields():
        if field.number not in {_GRAPH, _METADATA}:
            _copy_field(rest, field.name, value)
    yield rest.SerializeToString(deterministic=True)
    yield metadata.SerializeToString(deterministic=True)
    heads = [_head(initializer) for initializer in initializers]
    yield _prefix(_GRAPH, len(graph) + sum(map(len, heads)) + sum(i.nbytes for i in initializers))
    yield graph
    for head, initializer in zip(heads, initializers, strict=True):
        yield head
        if initializer.tensor is not None:
            yield from tensor_chunks(initializer.tensor)


def tensor_chunks(tensor: ir.TensorProtocol) -> Iterator[bytes | memoryview]:
    """Yield the elements of a tensor as little-endian bytes, without a copy where possible."""
    if tensor.dtype.bitwidth < 8 or sys.byteorder != "little":
        yield tensor.tobytes()
        return
    view = np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8).data
    for start in range(0, len(view), _CHUNK):
        yield view[start : start + _CHUNK]


def _head(initializer: Initializer) -> bytes:
    """Return the bytes of an initializer up to its elements."""
    head: bytes = initializer.proto.SerializeToString(deterministic=True)
    if initializer.tensor is not None:
        head += _prefix(_RAW_DATA, initializer.nbytes)
    return _prefix(_INITIALIZER, len(head) + initializer.nbytes) + head


def _copy_field(proto: onnx.ModelProto, name: str, value: Any) -> None:
    if isinstance(value, (str, int)):
        setattr(proto, name, value)
    else:
        getattr(proto, name).extend(value)


def _prefix(field: int, length: int) -> bytes:
    """Return the tag and the length of a length-delimited field."""
    return _varint(field << 3 | _BYTES_WIRE_TYPE) + _varint(length)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


DIGEST_BYTES = len(digest_entry("0" * 64))
"""Length of the last field of a file."""

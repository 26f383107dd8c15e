"""What can be known of a model file before ONNX Runtime sees it: that it is one, and its metadata.

ONNX has no checksum and protobuf no length at the top, so this walks the outermost fields of the
ModelProto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, field numbers below) and skips
the graph by its length. Nothing is copied; a file of many gigabytes costs microseconds.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import LoadError

IR_VERSION, GRAPH, METADATA = 1, 7, 14
# Where tensors are: messages by the number of their field, for each kind of message.
PARTS = {
    "model": {GRAPH: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "location"},
}
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

MOST_FIELDS = 200_000
"""Outermost fields a model may have: a weight, a node is none, a function is one."""

OWN = "sardonyx."
"""What the keys of our metadata begin with."""

NOT_ONNX = {
    b"PK\x03\x04": "a zip archive, as torch.save writes",
    b"\x1f\x8b": "a gzip file",
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull`",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
    b"\x80\x04\x95": "a Python pickle",
    b"\x89HDF": "an HDF5 file",
}


class Field(NamedTuple):
    """One protobuf field: its number, wire type, and the span of its payload."""

    number: int
    wire: int
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What the outermost fields of a model say.

    Attributes:
        metadata: The model's metadata.
        graph: The span of the graph's bytes.
        has_leading_manifest: Metadata of ours come before the graph: only Sardonyx writes so.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    graph: tuple[int, int] = (0, 0)
    has_leading_manifest: bool = False


class _Damaged(ValueError):
    """The bytes are not protobuf."""


class _EndsEarly(_Damaged):
    """The bytes end inside a field."""


@contextlib.contextmanager
def open_model(source: str | bytes) -> Iterator[memoryview]:
    """The bytes of a model, memory-mapped when it is a file.

    Raises:
        LoadError: The path does not exist, is not a regular file, cannot be read, or is empty.
    """
    if isinstance(source, bytes):
        if not source:
            raise LoadError("the model is empty", found="0 bytes", expected="an ONNX model")
        yield memoryview(source)
        return
    _check_path(source)
    try:
        file = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise LoadError("the model file cannot be read", where=source, found=str(error)) from error
    with file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()


def _check_path(path: str) -> None:
    """Refuse what ONNX Runtime would answer with a parser's error."""
    if "\0" in path:
        problem = "the model path holds a NUL character"
    elif not os.path.exists(path):
        problem = "the model file does not exist"
    elif os.path.isdir(path):
        problem = "the model path is a folder"
    elif not os.path.isfile(path):
        problem = "the model path is not a regular file"
    elif os.path.getsize(path) == 0:
        problem = "the model file is empty"
    else:
        return
    raise LoadError(
        problem,
        where=repr(path) if "\0" in path else path,
        expected="a file with an ONNX model",
        remedy=_neighbours(path),
    )


def _neighbours(path: str) -> str | None:
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    with contextlib.suppress(OSError, ValueError):
        models = sorted(name for name in os.listdir(folder) if name.endswith(".onnx"))
        if models:
            return f"one of the models in that folder: {', '.join(models[:5])}"
    return None


def read_header(data: memoryview, where: str) -> Header:
    """Metadata and graph span of a model; an ORT-format model gives an empty header.

    Raises:
        LoadError: The bytes are not an ONNX model, or end too early.
    """
    if bytes(data[4:8]) == b"ORTM":
        return Header()
    seen: set[int] = set()
    metadata: dict[str, str] = {}
    graph = (0, 0)
    is_leading = False
    try:
        for index, item in enumerate(fields(data, 0, len(data))):
            if index == MOST_FIELDS:
                raise _Damaged(f"more than {MOST_FIELDS:,} outermost fields")
            seen.add(item.number)
            if item.number == METADATA and item.wire == BYTES:
                key, value = entry(data, item)
                metadata[key] = value
                is_leading |= key.startswith(OWN) and GRAPH not in seen
            elif item.number == GRAPH and item.wire == BYTES:
                graph = (item.start, item.end)
    except _Damaged as error:
        raise _not_a_model(data, where, error, began_well=IR_VERSION in seen) from None
    if GRAPH not in seen:
        raise _not_a_model(data, where, _Damaged("no graph in it"), began_well=False)
    return Header(metadata, graph, is_leading)


def metadata_spans(data: memoryview, where: str) -> list[tuple[str, tuple[int, int]]]:
    """The key of each metadata entry, and the span of all its bytes.

    Raises:
        LoadError: It is no ONNX model of protobuf.
    """
    if bytes(data[4:8]) == b"ORTM":
        raise LoadError(
            "a model in the ORT format takes no metadata",
            where=where,
            expected="an ONNX model (a serialised ModelProto)",
        )
    read_header(data, where)
    spans, position = [], 0
    for item in fields(data, 0, len(data)):
        if item.number == METADATA and item.wire == BYTES:
            spans.append((entry(data, item)[0], (position, item.end)))
        position = item.end
    return spans


def scalars(data: memoryview, header: Header) -> set[str]:
    """Names of graph inputs and outputs declared as tensors of rank 0.

    ONNX Runtime reports the shape of a scalar and of a tensor of unknown rank alike.
    """
    found = set()
    for item in fields(data, *header.graph):
        if item.number in (GRAPH_INPUT, GRAPH_OUTPUT) and item.wire == BYTES:
            value = {f.number: f for f in fields(data, item.start, item.end)}
            if 1 in value and 2 in value and _is_scalar(data, value[2]):
                found.add(bytes(data[value[1].start : value[1].end]).decode("utf-8", "replace"))
    return found


def external_files(data: memoryview) -> list[str]:
    """Names of the files that a model's tensors are in, sorted; none are read.

    Raises:
        LoadError: The bytes are not an ONNX model.
    """
    found = set()
    messages = [("model", 0, len(data))]
    try:
        while messages:
            kind, start, end = messages.pop()
            for item in fields(data, start, end):
                part = PARTS[kind].get(item.number)
                if part is None or item.wire != BYTES:
                    continue
                if part != "location":
                    messages.append((part, item.start, item.end))
                    continue
                key, value = entry(data, item)
                if key == "location":
                    found.add(value)
    except _Damaged as error:
        raise _not_a_model(data, "the model", error, began_well=True) from None
    return sorted(found)


def _is_scalar(data: memoryview, type_field: Field) -> bool:
    """Whether a TypeProto is a tensor (field 1) whose shape (field 2) is there and has no dims."""
    for kind in fields(data, type_field.start, type_field.end):
        if kind.number == 1:
            shapes = [f for f in fields(data, kind.start, kind.end) if f.number == 2]
            return bool(shapes) and all(f.start == f.end for f in shapes)
    return False


def fields(data: memoryview, position: int, end: int) -> Iterator[Field]:
    """The protobuf fields between two positions, one after another.

    Raises:
        ValueError: The bytes are not protobuf, or end inside a field.
    """
    while position < end:
        tag, start = varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise _Damaged(f"field number 0 at byte {position}")
        if wire == VARINT:
            _, position = varint(data, start, end)
        elif wire == BYTES:
            length, start = varint(data, start, end)
            position = start + length
        elif wire in FIXED_BYTES:
            position = start + FIXED_BYTES[wire]
        else:
            raise _Damaged(f"wire type {wire} at byte {position}")
        if position > end:
            raise _EndsEarly(f"field {number} ends at byte {position}, the data at byte {end}")
        yield Field(number, wire, start, position)


def varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """A number and the position after it.

    Raises:
        ValueError: There is no number, or it ends too late.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _EndsEarly(f"the data ends inside a number at byte {end}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Damaged(f"a number longer than ten bytes at byte {position - 10}")


def entry(data: memoryview, item: Field) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto."""
    text = {
        f.number: bytes(data[f.start : f.end]).decode("utf-8", "replace")
        for f in itertools.islice(fields(data, item.start, item.end), 16)
        if f.wire == BYTES
    }
    return text.get(1, ""), text.get(2, "")


def _not_a_model(data: memoryview, where: str, error: _Damaged, *, began_well: bool) -> LoadError:
    head = bytes(data[:32])
    looks = next((text for magic, text in NOT_ONNX.items() if head.startswith(magic)), None)
    if began_well and looks is None:
        kind = "truncated" if isinstance(error, _EndsEarly) else "damaged"
        return LoadError(
            f"the model is {kind}",
            where=where,
            found=f"{len(data)} bytes; {error}",
            expected="a complete ONNX model",
            remedy="copy or export it again, and compare the sizes",
        )
    return LoadError(
        "this is not an ONNX model",
        where=where,
        found=looks or f"{len(data)} bytes that begin with {head[:12]!r}; {error}",
        expected="a file in the ONNX format (a serialised ModelProto)",
    )

"""Counts what a serialised model holds before protobuf makes objects of it.

Two bytes of a file can be an object of a hundred. So the fields of the protobuf encoding are
walked first, without recursion, and nothing is kept of them. Which field holds which message is
read from the descriptors that onnx brings.

Reference: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import Any

import onnx

from sardonyx.frontends.onnx_file.limits import Limits

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MOST_VARINT = 10
_GRAPH, _TYPE, _ATTRIBUTE = "onnx.GraphProto", "onnx.TypeProto", "onnx.AttributeProto"
_COUNTED = {
    "onnx.NodeProto": ("nodes", "The model has too many nodes."),
    "onnx.TensorProto": ("tensors", "The model has too many tensors."),
    "onnx.FunctionProto": ("functions", "The model has too many functions."),
}
_NUMBER_BYTES = 8


class DamagedError(ValueError):
    """The bytes are no protobuf message."""


def check_counts(data: bytes | bytearray | memoryview, limits: Limits, where: str) -> None:
    """Check that a serialised model holds no more than it may.

    Args:
        data: The model; each of its elements is one byte.
        limits: What it may hold.
        where: How to call the file in messages.

    Raises:
        UnsupportedError: It holds more.
        DamagedError: It is no protobuf message.
    """
    try:
        _Scan(data, limits, where).run()
    except IndexError:
        raise DamagedError from None


def _messages() -> dict[str, dict[int, str]]:
    """Return, for each kind of message, which of its fields hold messages of which kind."""
    found: dict[str, dict[int, str]] = {}
    pending: list[Any] = [onnx.ModelProto.DESCRIPTOR]
    while pending:
        kind = pending.pop()
        if kind.full_name in found:
            continue
        inner = [field for field in kind.fields if field.message_type is not None]
        found[kind.full_name] = {field.number: field.message_type.full_name for field in inner}
        pending += [field.message_type for field in inner]
    return found


_MESSAGES = _messages()
_PLAIN = frozenset({"onnx.StringStringEntryProto", "onnx.OperatorSetIdProto"})
"""Messages of a few fields that cannot be repeated; they are counted and not looked into."""


class _Scan:
    """One walk over a model. A message is noted when it is found and read later."""

    def __init__(self, data: bytes | bytearray | memoryview, limits: Limits, where: str) -> None:
        self._data = data
        self._limits = limits
        self._where = where
        self._fields = 0
        self._attribute_bytes = 0
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._most = {kind: getattr(limits, row[0]) for kind, row in _COUNTED.items()}
        # Kind, begin, end, and how deep it lies in graphs or types.
        self._pending = [("onnx.ModelProto", 0, len(data), 0)]

    def run(self) -> None:
        while self._pending:
            self._message(*self._pending.pop())
            what = "The attributes of the model's nodes are too large."
            self._refuse("attribute_bytes", self._attribute_bytes, what)

    def _message(self, kind: str, at: int, end: int, depth: int) -> None:
        data, children = self._data, _MESSAGES[kind]
        fields, most = self._fields, self._limits.fields
        payload = 0
        while at < end:
            fields += 1
            if fields > most:
                self._refuse("fields", fields, "The model has too many protobuf fields.")
            tag = data[at]
            at += 1
            if tag >= 128:
                tag, at = self._varint(at - 1)
            form = tag & 7
            if form == _BYTES:
                size = data[at]
                at += 1
                if size >= 128:
                    size, at = self._varint(at - 1)
                child = children.get(tag >> 3)
                if at + size > end:
                    raise DamagedError
                if child is None:
                    payload += size
                elif child not in _PLAIN:
                    self._found(kind, child, at, at + size, depth)
                at += size
            elif form == _VARINT:
                payload += _NUMBER_BYTES
                at = at + 1 if data[at] < 128 else self._varint(at)[1]
            elif form in (_FIXED_64, _FIXED_32):
                payload += _NUMBER_BYTES
                at += 8 if form == _FIXED_64 else 4
            else:
                raise DamagedError
        if at != end:
            raise DamagedError
        self._fields = fields
        if kind == _ATTRIBUTE:
            self._attribute_bytes += payload

    def _found(self, parent: str, kind: str, begin: int, end: int, depth: int) -> None:
        if kind in self._counts:
            self._counts[kind] += 1
            if self._counts[kind] > self._most[kind]:
                self._refuse(_COUNTED[kind][0], self._counts[kind], _COUNTED[kind][1])
        elif kind == _GRAPH:
            depth += 1
            self._refuse("nesting", depth, "Graphs are nested too deeply.")
        elif kind == _TYPE:
            depth = depth + 1 if parent.startswith(_TYPE) else 1
            self._refuse("nesting", depth, "A type is nested too deeply.")
        if begin < end:
            self._pending.append((kind, begin, end, depth))

    def _refuse(self, limit: str, found: int, what: str) -> None:
        self._limits.check(limit, found, what, self._where)

    def _varint(self, at: int) -> tuple[int, int]:
        """Return a number and the place after it."""
        data, value, shift = self._data, 0, 0
        for place in range(at, at + _MOST_VARINT):
            byte = data[place]
            value |= (byte & 127) << shift
            if byte < 128:
                return value, place + 1
            shift += 7
        raise DamagedError

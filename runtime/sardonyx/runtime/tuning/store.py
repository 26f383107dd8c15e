"""Writes an entry into the metadata of a model file, whose other bytes stay as they are.

The runtime has no protobuf: the entry is put behind the others, at the end of the file, and the
digest of the artifact, where it has one, behind it. The file is written anew and takes the place
of the old one in one step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from typing import Any

from ..errors import LoadError
from ..integrity import DIGEST, check_integrity
from ..modelfile import METADATA, metadata_spans, open_model


def set_metadata(path: str, key: str, text: str) -> None:
    """Set an entry of a model file's metadata.

    Raises:
        LoadError: The file is no model, or it cannot be written.
        IntegrityError: It is not as it was written, so that nobody should sign it anew.
    """
    is_sealed = check_integrity(path)
    target = os.path.realpath(path)
    with open_model(path) as data:
        spans = metadata_spans(data, path)
        kept = _kept(data, [span for name, span in spans if name in (key, DIGEST)])
        try:
            _write(target, [*kept, _entry(key, text)], is_sealed)
        except OSError as error:
            raise LoadError(
                "the result of tuning cannot be written into the model",
                where=path,
                found=error.strerror or str(error),
                remedy="choose a place that is writable and has space, or tune with store=False",
            ) from error
        finally:
            # The file is mapped, and stays so while there are views of it, as a traceback has.
            for part in kept:
                part.release()


def _kept(data: memoryview, replaced: list[tuple[int, int]]) -> list[memoryview]:
    """What is left of the file without some spans."""
    kept, position = [], 0
    for start, end in sorted(replaced):
        kept.append(data[position:start])
        position = end
    return [*kept, data[position:]]


def _write(target: str, parts: list[Any], is_sealed: bool) -> None:
    folder, name = os.path.split(target)
    mode = os.stat(target).st_mode & 0o777
    digest = hashlib.sha256()
    handle, partial = tempfile.mkstemp(prefix=f".{name}.", suffix=".partial", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            if is_sealed:
                file.write(_entry(DIGEST, digest.hexdigest()))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, mode)
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _entry(key: str, text: str) -> bytes:
    """A StringStringEntryProto as one entry of a ModelProto's metadata."""
    fields = _field(1, key.encode()) + _field(2, text.encode())
    return _field(METADATA, fields)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)

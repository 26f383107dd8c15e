"""From a path or bytes to a ModelProto, or to one clear error."""

from __future__ import annotations

import mmap
import os
import stat

import onnx

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.frontends.onnx_file.limits import Limits
from sardonyx.frontends.onnx_file.wire import DamagedError, check_counts
from sardonyx.runtime import LoadError, check_integrity

_LARGEST_PROTOBUF = (1 << 31) - 1
_OPENED = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_OPENED |= getattr(os, "O_BINARY", 0)
"""A pipe is opened without waiting for who writes to it."""

_OTHER_FORMATS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"PK\x03\x04", "a zip archive (PyTorch checkpoints are zip archives too)"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"%PDF", "a PDF document"),
    (0, b"GGUF", "a GGUF file"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x80\x02", "a Python pickle"),
    (0, b"\x80\x04", "a Python pickle"),
    (0, b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (0, b"<", "an HTML or XML document"),
    (0, b"{", "JSON"),
    (4, b"ORTM", "an ORT-format model; ask its author for the .onnx file"),
    (4, b"TFL3", "a TensorFlow Lite model"),
)


def read_file(path: str, limits: Limits, verify: bool) -> onnx.ModelProto:
    """Parse a model file; external data stays where it is.

    Raises:
        InvalidModelError: There is no such file, it holds no ONNX model, or Sardonyx wrote it and
            it is not as it was written.
        UnsupportedError: It holds more than the limits allow.
    """
    try:
        if os.path.isdir(path):
            raise InvalidModelError(
                "The model path is a directory.",
                where=path,
                remedy="give the path of the .onnx file in it",
            )
        descriptor = os.open(path, _OPENED)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        # What was opened is looked at, not what the path leads to a moment later.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidModelError("The model path is no regular file.", where=path)
        if found.st_size == 0:
            raise _not_onnx(b"", path)
        limits.check("file_bytes", found.st_size, "The model file is too large.", path)
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as pages:
            view = memoryview(pages)
            try:
                return parse(view, path, limits, verify, path)
            finally:
                view.release()
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)


def _unreadable(path: str, error: Exception) -> InvalidModelError:
    reason = getattr(error, "strerror", None) or str(error)
    return InvalidModelError(
        "The model file cannot be read.", where=path, found=reason, remedy="check the path"
    )


def check_ours(data: bytes | bytearray | memoryview, path: str | None) -> None:
    """Check that a file which Sardonyx wrote, and the weights beside it, are as they were written.

    Raises:
        InvalidModelError: They are not, or a newer Sardonyx wrote them.
    """
    try:
        check_integrity(data if isinstance(data, memoryview) else bytes(data), path)
    except LoadError as error:
        raise InvalidModelError(
            f"{error.what[0].upper()}{error.what[1:]}.",
            where=error.where,
            found=error.found,
            expected=error.expected,
            remedy=error.remedy,
        ) from None


def parse(
    data: bytes | bytearray | memoryview,
    where: str,
    limits: Limits,
    verify: bool,
    path: str | None = None,
) -> onnx.ModelProto:
    """Parse a serialised model.

    Args:
        data: The model; each of its elements is one byte.
        where: How to call it in messages.
        limits: What it may hold.
        verify: Check that it is as it was written, if Sardonyx wrote it.
        path: Where it is from; weights beside it are checked then.

    Raises:
        InvalidModelError: The bytes are no ONNX model, or not those that Sardonyx wrote.
        UnsupportedError: They hold more than the limits allow.
    """
    if len(data) > _LARGEST_PROTOBUF:
        raise InvalidModelError(
            "The model is larger than a protobuf message may be.",
            where=where,
            found=f"{len(data)} bytes",
            expected=f"at most {_LARGEST_PROTOBUF}",
            remedy="save the weights as external data",
        )
    limits.check("file_bytes", len(data), "The model is too large.", where)
    is_damaged = False
    try:
        check_counts(data, limits, where)
    except DamagedError:
        is_damaged = True
    if verify:
        check_ours(data, path)
    proto = onnx.ModelProto()
    try:
        if is_damaged:
            raise DamagedError
        proto.ParseFromString(data)
    except Exception:  # protobuf's own error, whose module is not a dependency of ours
        raise _not_onnx(bytes(data[:64]), where, len(data)) from None
    if not proto.HasField("graph"):
        raise _not_onnx(bytes(data[:64]), where, len(data))
    return proto


def _not_onnx(head: bytes, where: str, size: int = 0) -> InvalidModelError:
    if not head:
        found = "nothing: it is empty"
    else:
        known = (text for at, magic, text in _OTHER_FORMATS if head[at:].startswith(magic))
        found = next(known, "text" if _is_text(head) else "damaged or truncated data")
        found += f" ({size} bytes)"
    return InvalidModelError(
        "This is not an ONNX model.",
        where=where,
        found=found,
        expected="a serialised onnx.ModelProto",
        remedy="check that the file is complete and was written by an ONNX exporter",
    )


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)

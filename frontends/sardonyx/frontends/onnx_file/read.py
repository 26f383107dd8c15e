"""From a path or bytes to a ModelProto, or to one clear error."""

from __future__ import annotations

import mmap
import os
import stat

import onnx

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.runtime import LoadError, check_integrity

_LARGEST_PROTOBUF = (1 << 31) - 1

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


def read_file(path: str, verify: bool = True) -> onnx.ModelProto:
    """Parse a model file; external data stays where it is.

    Raises:
        InvalidModelError: There is no such file, it holds no ONNX model, or Sardonyx wrote it and
            it is not as it was written.
    """
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidModelError(
            "The model file cannot be read.", where=path, found=reason, remedy="check the path"
        ) from None
    if stat.S_ISDIR(kind):
        raise InvalidModelError(
            "The model path is a directory.",
            where=path,
            remedy="give the path of the .onnx file in it",
        )
    if not stat.S_ISREG(kind):
        raise InvalidModelError("The model path is no regular file.", where=path)
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise _not_onnx(b"", path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
                view = memoryview(pages)
                try:
                    if verify:
                        check_ours(view, path)
                    return parse(view, path)
                finally:
                    view.release()
    except OSError as error:
        raise InvalidModelError(
            "The model file cannot be read.", where=path, found=error.strerror
        ) from None


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


def parse(data: bytes | bytearray | memoryview, where: str) -> onnx.ModelProto:
    """Parse a serialised model.

    Raises:
        InvalidModelError: The bytes are no ONNX model.
    """
    if len(data) > _LARGEST_PROTOBUF:
        raise InvalidModelError(
            "The model is larger than a protobuf message may be.",
            where=where,
            found=f"{len(data)} bytes",
            expected=f"at most {_LARGEST_PROTOBUF}",
            remedy="save the weights as external data",
        )
    proto = onnx.ModelProto()
    try:
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

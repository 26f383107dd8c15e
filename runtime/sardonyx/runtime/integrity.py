"""Whether a file that Sardonyx wrote is still as it was written.

The compiler ends a model file with one metadata entry more, the SHA-256 of all bytes before it,
and notes the SHA-256 of a file of weights in the manifest, which is in the model file. That last
entry has always the same length and starts with the same bytes, so it is found without parsing,
and it is still known for what it is when bits of it are flipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import mmap
import os
import stat
from dataclasses import dataclass
from typing import Any

from .errors import IntegrityError, LoadError
from .modelfile import Header, open_model, read_header

MANIFEST = "sardonyx.manifest"
DIGEST = "sardonyx.sha256"
"""Keys of a model's metadata."""

FORMAT = 1
"""The newest format of artifacts that this version knows; it knows all older ones."""

_HEX = 64
# Metadata of a ModelProto (field 14), 83 bytes: a key (field 1) and a value (field 2).
_LEAD = b"\x72\x53\x0a\x0f" + DIGEST.encode() + b"\x12\x40"
_LAST = len(_LEAD) + _HEX
_REMEDY = (
    "copy the file again or compile the model anew; "
    "if another tool changed it on purpose, pass verify=False"
)


def check_integrity(
    source: str | os.PathLike[str] | bytes | memoryview, path: str | None = None
) -> bool:
    """Check that a model, and the weights beside it, are as Sardonyx wrote them.

    Args:
        source: Path of a model file, or its content.
        path: Where the content is from; weights beside it are checked then.

    Returns:
        True if the model carries a digest; False if it carries none: another tool wrote it.

    Raises:
        LoadError: The model cannot be read, or a newer Sardonyx wrote it.
        IntegrityError: The model or its weights are not as they were written.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        with open_model(path) as data:
            return _check(data, path)
    with memoryview(source) as data:
        return _check(data, path)


def _check(data: memoryview, path: str | None) -> bool:
    where = path if path is not None else f"a model of {len(data)} bytes"
    is_sealed = _check_digest(data, where)
    try:
        header = read_header(data, where)
    except LoadError:
        return False  # No model at all, which whoever reads it says better.
    weights = _check_header(header, where, path, is_sealed)
    if weights is not None:
        weights.check()
    return is_sealed


def check_model(data: memoryview, where: str, path: str | None) -> tuple[Header, Weights | None]:
    """Return what the outermost fields of a model say, and the weights that are left to check.

    Raises:
        LoadError: It is no model, or a newer Sardonyx wrote it, or there are no weights.
        IntegrityError: The model, or the size of its weights, is not as it was written.
    """
    is_sealed = _check_digest(data, where)
    header = read_header(data, where)
    return header, _check_header(header, where, path, is_sealed)


def _check_digest(data: memoryview, where: str) -> bool:
    """Say whether the bytes end with a digest, which then holds."""
    last = bytes(data[-_LAST:])
    alike = sum(a == b for a, b in zip(last, _LEAD, strict=False))
    if len(last) < _LAST or alike < len(_LEAD) // 2:
        return False
    with data[:-_LAST] as covered:
        found = hashlib.sha256(covered).hexdigest()
    if last[: len(_LEAD)] == _LEAD and hmac.compare_digest(last[len(_LEAD) :], found.encode()):
        return True
    raise IntegrityError(
        "the model is not as it was written",
        where=where,
        found=f"SHA-256 {found}",
        expected=f"SHA-256 {last[len(_LEAD) :].decode('ascii', 'replace')}, as it says itself",
        remedy=_REMEDY,
    )


def _check_header(header: Header, where: str, path: str | None, is_sealed: bool) -> Weights | None:
    """Check what a model's metadata say of its format and its digest; return its weights."""
    made = _manifest(header)
    _check_format(made, where)
    if not is_sealed and (DIGEST in header.metadata or header.has_leading_manifest):
        raise IntegrityError(
            "the model is not as it was written",
            where=where,
            found="a model whose last bytes are not its digest",
            expected="the digest as the last entry",
            remedy=_REMEDY,
        )
    if is_sealed and path is not None and "data" in made:
        return _weights(made["data"], where, path)
    return None


def _manifest(header: Header) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        made = json.loads(header.metadata.get(MANIFEST, "{}"))
        if isinstance(made, dict):
            return made
    return {}


def _check_format(made: dict[str, Any], where: str) -> None:
    found = made.get("format", 0)
    if not isinstance(found, int) or found <= FORMAT:
        return
    versions = made.get("versions")
    by = versions.get("sardonyx", "?") if isinstance(versions, dict) else "?"
    raise LoadError(
        "a newer Sardonyx wrote the model",
        where=where,
        found=f"format {found}, by sardonyx {by}",
        expected=f"format {FORMAT} or older",
        remedy="upgrade sardonyx, or compile the model with the version that is installed here",
    )


@dataclass(frozen=True)
class Weights:
    """The file of weights beside a model, which is there and has the right size.

    Attributes:
        path: The file.
        size: Its size in bytes.
        digest: The SHA-256 that the model says it has.
        where: How to call the model in errors.
    """

    path: str
    size: int
    digest: str
    where: str

    def check(self) -> None:
        """Read all of it.

        Raises:
            IntegrityError: It is not as it was written.
        """
        size, found = size_and_digest(self.path)
        if (size, found) != (self.size, self.digest):
            raise self.changed(f"{size:,} bytes, SHA-256 {found}")

    def changed(self, found: str) -> IntegrityError:
        """The error that says what was found instead."""
        return IntegrityError(
            "the weights of the model are not as they were written",
            where=self.path,
            found=found,
            expected=f"{self.size:,} bytes, SHA-256 {self.digest}, as {self.where} says",
            remedy=_REMEDY,
        )


def _weights(said: Any, where: str, path: str) -> Weights:
    """Return the file of weights that a manifest names, if it is there and has that size."""
    try:
        name, size, digest = str(said["file"]), int(said["bytes"]), str(said["sha256"])
    except (TypeError, KeyError, ValueError):
        name = ""
    if not name or name != os.path.basename(name) or "\0" in name:
        raise IntegrityError(
            "the manifest of the model does not name the file of its weights",
            where=where,
            found=repr(said)[:200],
            expected="its file, bytes and sha256",
            remedy="compile the model anew",
        )
    weights = Weights(beside(path, name), size, digest, where)
    found = _size(weights.path)
    if found != size:
        raise weights.changed(f"{found:,} bytes")
    return weights


def size_and_digest(path: str) -> tuple[int, str]:
    """Read a file of weights: how many bytes it has, and their SHA-256.

    Raises:
        LoadError: It cannot be read.
    """
    _size(path)
    try:
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            return len(mapped), hashlib.sha256(mapped).hexdigest()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _size(path: str) -> int:
    """Return the size of a file of weights, which is there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    # A pipe would wait for a writer.
    if not stat.S_ISREG(found.st_mode):
        raise LoadError("the weights of the model are no regular file", where=path)
    return found.st_size


def _unreadable(path: str, error: OSError | ValueError) -> LoadError:
    return LoadError(
        "the weights of the model cannot be read",
        where=path,
        found=getattr(error, "strerror", None) or str(error),
        remedy="put the weights file beside the model, under the name it was saved with",
    )


def beside(path: str, name: str) -> str:
    """Return where a file beside a model is, or beside the one that its path links to."""
    given, real = (os.path.join(os.path.dirname(p), name) for p in (path, os.path.realpath(path)))
    return given if os.path.exists(given) else real

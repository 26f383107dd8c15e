"""What a model is made of, as one digest; and a memory of it, by its files' times and sizes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import LoadError
from .integrity import DIGEST, check_model, size_and_digest
from .machine import digest
from .modelfile import Header, external_files, read_header
from .store import Store

SETTLED = 2_000_000_000
"""Nanoseconds after which another write surely gives a file another time."""

Stamp = list[Any]


@dataclass(frozen=True)
class Content:
    """What a model is made of.

    Attributes:
        digest: A digest of every byte of it, those of its external weights too.
        bytes: How many bytes these are.
        stamps: Path, inode, length and times of each of its files, when they were read.
        problem: Why it is not known what it is made of; empty when it is.
    """

    digest: str
    bytes: int
    stamps: tuple[Stamp, ...]
    problem: str = ""

    def is_unchanged(self) -> bool:
        """Whether its files are still the same, as far as their inodes and times tell."""
        return _stamps([stamp[0] for stamp in self.stamps]) == list(self.stamps)

    def is_settled(self, at: int) -> bool:
        """Whether a write after ``at``, in nanoseconds since the epoch, gave them other times."""
        # A file may be written twice within one tick of its clock.
        return all(max(stamp[3:]) + SETTLED < at for stamp in self.stamps)


def read_content(
    store: Store, data: memoryview, where: str, path: str | None, *, is_checked: bool
) -> tuple[Header, Content]:
    """Read a model and its weights, unless nobody wrote to them since they were read last.

    Args:
        store: Where it is remembered.
        data: The model.
        where: How to call it in errors.
        path: Its file; None for bytes.
        is_checked: Check the digests that it carries.

    Raises:
        LoadError: It is no model, or a newer Sardonyx wrote it, or its own weights are not there.
        IntegrityError: Bits of the model or of its weights are not as they were written.
    """
    known = remembered(store, path, is_checked=is_checked) if path is not None else None
    if known is not None:
        return read_header(data, where), known
    names, problem = _external(data, path)
    # Beside the path as it is given, whatever that links to: there ONNX Runtime looks for them.
    others = [os.path.join(os.path.dirname(path or ""), name) for name in names]
    # What is written from here on has other times.
    stamps = tuple(_stamps([path, *others])) if path is not None else ()
    started = time.time_ns()
    header, weights = (
        check_model(data, where, path) if is_checked else (read_header(data, where), None)
    )
    if weights is not None:
        weights.check()
    is_sealed = is_checked and DIGEST in header.metadata
    parts = [header.metadata[DIGEST] if is_sealed else hashlib.sha256(data).hexdigest()]
    try:
        # The digest of a sealed model covers that of its weights.
        parts += [size_and_digest(o)[1] for o in others if not weights or o != weights.path]
    except LoadError as error:
        problem = f"{error.what}: {error.where}: {error.found}"
    if problem:
        return header, Content("", 0, (), problem)
    size = sum(max(stamp[2], 0) for stamp in stamps) if stamps else len(data)
    content = Content(digest(is_sealed, parts, names), size, stamps)
    if path is not None and content.is_settled(started) and content.is_unchanged():
        _remember(store, path, content, started, is_checked=is_checked)
    return header, content


def _external(data: memoryview, path: str | None) -> tuple[list[str], str]:
    """Names of the files of a model's weights, and why they cannot be told."""
    try:
        names = external_files(data)
    except LoadError as error:
        return [], f"{error.what}: {error.found}"
    if names and path is None:
        return [], "its weights are in files, and it was given as bytes"
    return names, ""


def remembered(store: Store, path: str, *, is_checked: bool) -> Content | None:
    """What the files of a path are made of, if none was written since that was noted.

    Args:
        store: Where it was noted.
        path: The model's file.
        is_checked: Take it only from who checked the digests that it carries.
    """
    try:
        noted = json.loads(store.noted(_name(path)))
        said = noted["said"]
        if noted["sha256"] != digest(said) or said["is_checked"] < is_checked:
            return None
        content = Content(said["digest"], said["bytes"], tuple(said["stamps"]))
        is_settled = content.is_settled(said["at"])
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    names = [stamp[0] for stamp in content.stamps]
    is_it = names[:1] == [path] and is_settled and content.is_unchanged()
    return content if is_it else None


def _remember(store: Store, path: str, content: Content, started: int, *, is_checked: bool) -> None:
    """Note what a path is made of; a folder that cannot be written to is no matter."""
    said = {"digest": content.digest, "bytes": content.bytes, "at": started}
    body = {**said, "stamps": content.stamps, "is_checked": is_checked}
    with contextlib.suppress(OSError):
        store.note(_name(path), json.dumps({"said": body, "sha256": digest(body)}))


def _name(path: str) -> str:
    return digest(os.path.abspath(path))


def _stamps(paths: Sequence[str]) -> list[Stamp]:
    """What changes when a file is written or replaced; -1 for a file that is not there."""
    found = []
    for path in paths:
        try:
            stat = os.stat(path)
            times = [stat.st_mtime_ns, stat.st_ctime_ns]
            found.append([path, stat.st_ino, stat.st_size, *times])
        except (OSError, ValueError):
            found.append([path, -1, -1, -1, -1])
    return found

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
from .store import Store, write_atomically

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
    """

    digest: str
    bytes: int
    stamps: tuple[Stamp, ...]

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
        LoadError: It is no model, or a newer Sardonyx wrote it, or weights cannot be read.
        IntegrityError: Bits of the model or of its weights are not as they were written.
    """
    known = remembered(store, path) if path is not None else None
    if known is not None:
        return read_header(data, where), known
    names: list[str] = []
    with contextlib.suppress(LoadError):  # Whoever reads it next says it better.
        names = external_files(data) if path is not None else []
    folder = os.path.dirname(os.path.realpath(path)) if path is not None else ""
    others = [os.path.join(folder, name) for name in names]
    # What is written from here on has other times.
    stamps = tuple(_stamps([path, *others])) if path is not None else ()
    started = time.time_ns()
    if is_checked:
        header, weights = check_model(data, where, path)
        if weights is not None:
            weights.check()
    else:
        header = read_header(data, where)
    if is_checked and DIGEST in header.metadata:
        parts = ["sealed", header.metadata[DIGEST]]
    else:
        digests = [size_and_digest(other)[1] for other in others]
        parts = ["read", hashlib.sha256(data).hexdigest(), *digests]
    size = sum(max(stamp[2], 0) for stamp in stamps) if stamps else len(data)
    content = Content(digest(*parts, names), size, stamps)
    if path is not None and content.is_settled(started) and content.is_unchanged():
        _remember(store, path, content, started)
    return header, content


def remembered(store: Store, path: str) -> Content | None:
    """What the files of a path are made of, if none was written since that was noted."""
    try:
        text = (store.folder / "sources" / _name(path)).read_text(encoding="utf-8")
        noted = json.loads(text)
        said = noted["said"]
        if noted["sha256"] != digest(said):
            return None
        content = Content(said["digest"], said["bytes"], tuple(said["stamps"]))
        is_settled = content.is_settled(said["at"])
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    names = [stamp[0] for stamp in content.stamps]
    is_it = names[:1] == [path] and is_settled and content.is_unchanged()
    return content if is_it else None


def _remember(store: Store, path: str, content: Content, started: int) -> None:
    """Note what a path is made of; a folder that cannot be written to is no matter."""
    said = {"digest": content.digest, "bytes": content.bytes, "at": started}
    body = {**said, "stamps": content.stamps}
    with contextlib.suppress(OSError):
        place = store.folder / "sources"
        place.mkdir(mode=0o700, exist_ok=True)
        write_atomically(place / _name(path), json.dumps({"said": body, "sha256": digest(body)}))


def _name(path: str) -> str:
    return f"{digest(os.path.abspath(path))}.json"


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

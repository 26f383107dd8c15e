"""A folder of entries, each some files under a key, that many processes use at once.

An entry is a folder that is renamed into its place when it is complete, and never written again.
Its manifest has the length and a checksum of every file; a reader checks them
all, so that an entry which was torn, cut or changed is no entry. What is used least goes when the
sum of all lengths is above the limit. Names of other forms than those written here are left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .locks import locked
from .machine import digest

FORMAT = 1
MANIFEST = "entry.json"
CHUNK, PAGE = 1 << 20, 4096
MOST = 1000
"""Entries, and notes, that there are at most: those that refuse a model have no bytes."""

NOTES = "sources"
KEY = r"[0-9a-f]{64}"
PART = r"\.[0-9a-f]{16}\.part"
PATIENCE = 600.0
"""Seconds to wait for another process that makes the same entry."""


class DamagedError(Exception):
    """An entry is not as it was written."""


@dataclass(frozen=True)
class Entry:
    """One entry of a store.

    Attributes:
        key: Its key.
        folder: Where its files are.
        facts: What its maker noted.
        files: Length and checksum of each file.
    """

    key: str
    folder: Path
    facts: dict[str, Any]
    files: dict[str, dict[str, Any]]

    @property
    def bytes(self) -> int:
        """The length of all its files."""
        return sum(said["bytes"] for said in self.files.values())

    @property
    def used(self) -> float:
        """When it was used last, in seconds since the epoch."""
        return _changed(self.folder / MANIFEST)

    def touch(self) -> None:
        """Note that it is used."""
        with contextlib.suppress(OSError):
            os.utime(self.folder / MANIFEST)

    def check_lengths(self) -> None:
        """Look whether every file is there and as long as it was; nothing is read.

        Raises:
            DamagedError: One is not.
        """
        for name, said in self.files.items():
            try:
                found = (self.folder / name).stat().st_size
            except OSError as error:
                raise DamagedError(f"{name}: {error}") from error
            if found != said["bytes"]:
                raise DamagedError(f"{name} has {found} bytes instead of {said['bytes']}")

    def check(self, name: str, threads: int = 1) -> None:
        """Read every byte of a file.

        Raises:
            DamagedError: It is not there, or not as it was written.
        """
        try:
            found = checksum(self.folder / name, threads)
        except OSError as error:
            raise DamagedError(f"{name}: {error}") from error
        if found != self.files[name]:
            raise DamagedError(f"{name} is not as it was written")


class Store:
    """The entries below a folder, and notes of a line or two.

    Args:
        folder: The folder, of nothing else; made when there is none, for this user alone.
        limit: Bytes that all entries may have together.

    Raises:
        OSError: The folder cannot be made. One that cannot be written to is read.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, key: str) -> Entry | None:
        """The entry under a key, if its manifest is whole; its files are not read yet."""
        return _read(self.folder / key)

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is still there, and each of its files as long as it was."""
        try:
            entry.check_lengths()
        except DamagedError:
            return False
        return self.find(entry.key) == entry

    @contextlib.contextmanager
    def making(self, key: str) -> Iterator[bool]:
        """Hold the right to make an entry; yields whether it was got, which can take minutes."""
        with locked(self.folder / f"{key}.lock", PATIENCE) as is_held:
            if is_held:
                self._sweep(key)
            yield is_held

    def add(self, key: str, write: Callable[[Path], dict[str, Any]]) -> Entry:
        """Make an entry, in the place of the one that was there.

        Args:
            key: Its key.
            write: Writes files into a folder, and returns the facts to note.

        Raises:
            OSError: They could not be written.
        """
        folder = self._spare(key)
        folder.mkdir(mode=0o700)
        try:
            facts = write(folder)
            files = {path.name: checksum(path, 1) for path in sorted(folder.iterdir())}
            body = {"format": FORMAT, "key": key, "facts": facts, "files": files}
            text = json.dumps({"entry": body, "sha256": digest(body)})
            (folder / MANIFEST).write_text(text, encoding="utf-8")
            place = self.folder / key
            if place.exists():
                self._remove(place)
            os.replace(folder, place)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.trim(keep=key)
        return Entry(key, place, facts, files)

    def discard(self, entry: Entry) -> None:
        """Take an entry away; whoever has its files open keeps them."""
        with contextlib.suppress(OSError):
            self._remove(entry.folder)

    def entries(self) -> list[Entry]:
        """All entries, the one used last first."""
        found = [entry for path in self._places() if (entry := _read(path))]
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def trim(self, keep: str | None = None) -> list[Entry]:
        """Take away what is used least until the rest is within the limit; returns what went."""
        for path in self._places():
            if _read(path) is None:
                with contextlib.suppress(OSError):
                    self._remove(path)
        gone, room = [], self.limit
        found = sorted(self.entries(), key=lambda entry: entry.key != keep)
        for number, entry in enumerate(found):
            room -= entry.bytes
            if (room < 0 or number >= MOST) and entry.key != keep:
                self.discard(entry)
                gone.append(entry)
        for key in {path.name[:64] for path in _named(self.folder, rf"{KEY}(\.lock|{PART})")}:
            if not (self.folder / key).exists() and key != keep:
                self._forget(key, self.folder / f"{key}.lock")
        self._trim_notes(MOST)
        return gone

    def clear(self) -> int:
        """Take all entries and notes away; returns how many entries there were."""
        found = self.entries()
        for entry in found:
            self.discard(entry)
        self.trim()
        self._trim_notes(0)
        return len(found)

    def noted(self, key: str) -> str:
        """The note under a key.

        Raises:
            OSError: There is none.
            ValueError: It is no text.
        """
        return (self.folder / NOTES / f"{key}.json").read_text(encoding="utf-8")

    def note(self, key: str, text: str) -> None:
        """Keep a note; readers see the old one or the new one.

        Raises:
            OSError: It could not be written.
        """
        place = self.folder / NOTES
        place.mkdir(mode=0o700, exist_ok=True)
        _write_atomically(place / f"{key}.json", text)
        self._trim_notes(MOST)

    def _trim_notes(self, most: int) -> None:
        """Take all notes away but the newest."""
        paths = _named(self.folder / NOTES, rf"{KEY}\.json({PART})?")
        for path in sorted(paths, key=_changed, reverse=True)[most:]:
            with contextlib.suppress(OSError):
                path.unlink()

    def _places(self) -> list[Path]:
        """Where entries are, or what is left of them."""
        return [path for path in _named(self.folder, KEY) if path.is_dir()]

    def _forget(self, key: str, lock: Path) -> None:
        """Take away what a process that died while it made an entry left, if it is not alive."""
        with contextlib.suppress(OSError), locked(lock, 0) as is_held:
            if is_held and not (self.folder / key).exists():
                self._sweep(key)
                lock.unlink()

    def _sweep(self, key: str) -> None:
        """Take away the unfinished folders of a key; its lock must be held."""
        for left in _named(self.folder, key + PART):
            shutil.rmtree(left, ignore_errors=True)

    def _spare(self, key: str) -> Path:
        return self.folder / f"{key}.{secrets.token_hex(8)}.part"

    def _remove(self, place: Path) -> None:
        """Rename first: nobody sees half of an entry."""
        aside = self._spare(place.name)
        os.replace(place, aside)
        shutil.rmtree(aside, ignore_errors=True)


def checksum(path: Path, threads: int) -> dict[str, Any]:
    """Length and checksum of a file, at the speed of memory: four times that of CRC-32.

    It is the SHA-256 of the sums of all pages of 4 KiB, word by word modulo 2^64, in each MiB. So
    any change within a page of a MiB is found, and changes of several unless they cancel out in
    every word; that two pages changed places is not found.

    Raises:
        OSError: It cannot be read.
    """
    if path.stat().st_size == 0:
        return {"bytes": 0, "checksum": _sha256()}
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        length = len(view)
        whole = length - length % CHUNK

        def sums(start: int) -> bytes:
            with view[start : start + CHUNK] as chunk:
                pages = np.frombuffer(chunk, "<u8").reshape(-1, PAGE // 8)
                found: bytes = np.add.reduce(pages, axis=0).tobytes()
                return found

        starts = range(0, whole, CHUNK)
        if threads == 1 or len(starts) < 2:
            found = list(map(sums, starts))
        else:
            with ThreadPoolExecutor(threads) as pool:
                found = list(pool.map(sums, starts))
        return {"bytes": length, "checksum": _sha256(*found, bytes(view[whole:]))}


def _sha256(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    """Write a small file so that readers see the old text or the new one."""
    spare = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        spare.write_text(text, encoding="utf-8")
        os.replace(spare, path)
    except BaseException:
        with contextlib.suppress(OSError):
            spare.unlink()
        raise


def _named(folder: Path, form: str) -> list[Path]:
    """What in a folder has a name of a form; nothing where there is no folder."""
    with contextlib.suppress(OSError):
        return [folder / name for name in os.listdir(folder) if re.fullmatch(form, name)]
    return []


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _read(folder: Path) -> Entry | None:
    """The entry of a folder; None when there is none, or its manifest is damaged."""
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        body = said["entry"]
        if said["sha256"] != digest(body) or body["format"] != FORMAT:
            return None
        if body["key"] != folder.name:
            return None
        return Entry(body["key"], folder, body["facts"], body["files"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None

"""Writes files that are either as before or complete, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from sardonyx.compiler.errors import ExportError

if sys.platform != "win32":
    import fcntl

_PATIENCE = 10.0
"""Seconds to wait for another process that puts files in place, which takes milliseconds."""


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Give a file to write to, in the folder of `path`; if it is not published, it vanishes.

    Raises:
        ExportError: The file cannot be made, written or published.
    """
    handle = -1
    made: Path | None = None
    try:
        made = path.with_name(f".sardonyx-{secrets.token_hex(8)}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(made, flags, 0o666)
        yield NewFile(handle, made, path)
    except OSError as error:
        raise ExportError(
            "The model cannot be written.",
            where=str(path),
            found=f"{error.strerror or error}",
            remedy="choose a folder that is there, is writable and has space",
        ) from error
    finally:
        if handle >= 0:
            os.close(handle)
        if made is not None:
            with contextlib.suppress(OSError):
                made.unlink()


class NewFile:
    """A file that nobody sees until it is published."""

    def __init__(self, handle: int, made: Path, path: Path) -> None:
        self._handle = handle
        self._made = made
        self._path = path

    def write(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Write all chunks, and wait until the disk has them."""
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._handle, view) :]
        os.fsync(self._handle)

    def publish(self, path: Path | None = None) -> None:
        """Put the file in the place of `path`, by default the one it was made for."""
        path = path or self._path
        with contextlib.suppress(OSError):
            os.chmod(self._made, path.stat().st_mode)
        os.replace(self._made, path)
        _sync_folder(path.parent)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[bool]:
    """Keep others who ask too from putting files in place in a folder; say if that could be had.

    The lock is on the folder itself: it leaves no file, and ends with the process.
    """
    handle = _locked(folder)
    try:
        yield handle >= 0
    finally:
        if handle >= 0 and sys.platform != "win32":
            # A process forked in between has the handle too.
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)


def _locked(folder: Path) -> int:
    """Return a handle that holds the lock of a folder, or -1 where there is none to have."""
    if sys.platform == "win32":
        return -1
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return -1
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError as error:
            if not isinstance(error, BlockingIOError) or time.monotonic() > until:
                os.close(handle)
                return -1
        time.sleep(0.002)


def check_destination(path: Path) -> Path:
    """Return where a file of that name really goes.

    Raises:
        ExportError: No regular file can be there.
    """
    if "\0" in str(path):
        raise ExportError("The path of the model holds a NUL character.", where=repr(str(path)))
    real = Path(os.path.realpath(path))
    problem = ""
    if not real.name or os.path.isdir(real):
        problem = "is a folder"
    elif os.path.exists(real) and not os.path.isfile(real):
        problem = "is not a regular file"
    elif not os.path.isdir(real.parent):
        problem = f"is in {str(real.parent)!r}, which is no folder"
    if problem:
        raise ExportError(
            "The model cannot be written there.",
            where=str(path),
            found=f"the path {problem}",
            expected="the name of a file in a folder that exists",
        )
    return real


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

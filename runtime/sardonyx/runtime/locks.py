"""Locks among processes, on a file: the system takes them back when their owner dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

STEP = 0.02
"""Seconds between two tries."""


@contextlib.contextmanager
def locked(path: Path, timeout: float) -> Iterator[bool]:
    """Hold the lock of a file, which is made if there is none; no two threads hold it at once.

    Yields whether it was got within so many seconds; without it the block runs too.

    Raises:
        OSError: The file cannot be made.
    """
    end = time.monotonic() + timeout
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        is_held = False
        try:
            is_held = _try(handle)
            # Whoever held it may have deleted the file: then the next comer locks another one.
            if is_held and not _is_still(handle, path):
                continue
            if is_held or time.monotonic() >= end:
                yield is_held
                return
        finally:
            if is_held:
                _release(handle)
            os.close(handle)
        time.sleep(STEP)


def _is_still(handle: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(handle), os.stat(path))
    return False


if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> bool:
        with contextlib.suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            return True
        return False

    def _release(handle: int) -> None:
        with contextlib.suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(handle: int) -> bool:
        with contextlib.suppress(BlockingIOError, PermissionError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _release(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)

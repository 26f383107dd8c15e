"""Whether results can be written where they are wanted; known before work that takes long."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sardonyx.compiler.errors import ExportError

_REMEDY = "choose a folder that is there, is writable and has space"


def check_file(path: Path, option: str, remedy: str = _REMEDY) -> None:
    """Demand that a file can be written, or be replaced, at a path.

    Args:
        path: Where it is to be.
        option: What the path was given as.
        remedy: What to do if not.

    Raises:
        ExportError: It cannot.
    """
    if not path.name or path.is_dir():
        raise _refused(option, path, "the path is a folder", "the name of a file", remedy)
    if path.exists() and not path.is_file():
        raise _refused(option, path, "it is not a regular file", "the name of a file", remedy)
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        found = f"{str(real.parent)!r} is no folder"
        raise _refused(option, path, found, "a file in a folder that exists", remedy)
    _try_to_write(real.parent, option, path, remedy)


def check_folder(path: Path, option: str) -> None:
    """Demand that a folder can be made at a path, or can be written to if it is there.

    Raises:
        ExportError: It cannot.
    """
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise _refused(option, path, f"{str(there)!r} is no folder", "a folder", _REMEDY)
    _try_to_write(there, option, path, _REMEDY)


def _try_to_write(folder: Path, option: str, path: Path, remedy: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _refused(option, path, error.strerror or str(error), None, remedy) from error


def _refused(option: str, path: Path, found: str, expected: str | None, remedy: str) -> ExportError:
    return ExportError(
        f"What {option} names cannot be written.",
        where=str(path),
        found=found,
        expected=expected,
        remedy=remedy,
    )

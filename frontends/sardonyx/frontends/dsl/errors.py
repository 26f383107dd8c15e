"""Errors that point at the line of the user's program."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
from types import FrameType

from sardonyx.compiler.errors import SardonyxError

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# A `with dsl.scope(...)` line calls into the language through contextlib.
_BETWEEN = contextlib.__file__
_FOREIGN = {"numpy", "torch"}
"""Packages that ask tensors for numbers; the line that called them is meant."""


class DslError(SardonyxError):
    """A mistake in a model that is written in the DSL; `where` is the user's line."""

    def __init__(
        self,
        what: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
        where: str | None = None,
    ) -> None:
        super().__init__(
            what, where=where or user_line(), found=found, expected=expected, remedy=remedy
        )


class UnknownNameError(DslError, AttributeError):
    """An operator or attribute that does not exist."""


def user_frame() -> FrameType | None:
    """Return the innermost frame that is not of this package: the line the user wrote."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_own(frame):
        frame = frame.f_back
    return frame


def user_line() -> str | None:
    """Return `path/net.py:12, in net: x = dsl.conv(x, 8, 3)` for messages."""
    frame = user_frame()
    if frame is None:
        return None
    code = frame.f_code
    return line_text(code.co_filename, frame.f_lineno, code.co_name)


def line_text(path: str, line: int, function: str) -> str:
    """Return one line of a program as messages show it."""
    text = linecache.getline(path, line).strip()
    return f"{_shown(path)}:{line}, in {function}" + (f": {text}" if text else "")


def source_tag() -> str:
    """Return `net.py:12`, what a node records of the line that made it."""
    frame = user_frame()
    if frame is None:
        return "?"
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _is_own(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return path.startswith(_HERE) or path == _BETWEEN or package in _FOREIGN


def _shown(path: str) -> str:
    """Prefer a path below the working directory, as compilers print it."""
    home = os.getcwd() + os.sep
    return path.removeprefix(home)

"""Reads options of the form NAME=VALUE."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sardonyx.compiler.errors import UnsupportedError

Dynamic = dict[str | int, dict[int, str]]

_DYNAMIC = re.compile(r"(?P<input>[^:=]+):(?P<axis>-?\d+)=(?P<name>[A-Za-z_]\w*)")
_COUNTS = re.compile(r"\d+(,\d+)*")
_DIM = re.compile(r"(?P<name>[^=]+)=(?P<size>\d+)")


def parse_dynamic(options: Iterable[str]) -> Dynamic:
    """Read `x:0=batch`; the input is a name, or a position.

    Raises:
        UnsupportedError: An option has another form.
    """
    found: Dynamic = {}
    for option in options:
        match = _DYNAMIC.fullmatch(option)
        if match is None:
            raise _malformed("--dynamic", option, "INPUT:AXIS=NAME, for example x:0=batch")
        key = match["input"]
        which = int(key) if key.isdigit() else key
        found.setdefault(which, {})[int(match["axis"])] = match["name"]
    return found


def parse_dims(options: Iterable[str]) -> dict[str, int]:
    """Read `batch=4`.

    Raises:
        UnsupportedError: An option has another form.
    """
    found: dict[str, int] = {}
    for option in options:
        match = _DIM.fullmatch(option)
        if match is None:
            raise _malformed("--dim", option, "NAME=N, for example batch=4")
        found[match["name"]] = int(match["size"])
    return found


def parse_dim_lists(options: Iterable[str]) -> dict[str, list[int]]:
    """Read `batch=1,8,32`.

    Raises:
        UnsupportedError: An option has another form.
    """
    found: dict[str, list[int]] = {}
    for option in options:
        name, _, sizes = option.partition("=")
        if not name or not _COUNTS.fullmatch(sizes):
            raise _malformed("--dim", option, "NAME=N or NAME=N,N, for example batch=1,8")
        found[name] = _distinct(sizes)
    return found


def parse_counts(option: str, text: str) -> list[int]:
    """Read `1,2,4`, numbers from 1.

    Raises:
        UnsupportedError: It has another form.
    """
    if not _COUNTS.fullmatch(text) or 0 in _distinct(text):
        raise _malformed(option, text, "numbers from 1 with commas between, for example 1,2,4")
    return _distinct(text)


def _distinct(text: str) -> list[int]:
    return list(dict.fromkeys(map(int, text.split(","))))


def parse_files(options: Iterable[str]) -> dict[str, Path]:
    """Read `x=file.npy`.

    Raises:
        UnsupportedError: An option has another form, or the file is not there.
    """
    found: dict[str, Path] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals or not name:
            raise _malformed("--input", option, "NAME=FILE.npy")
        if not Path(path).is_file():
            raise UnsupportedError("There is no such input file.", where=path)
        found[name] = Path(path)
    return found


def _malformed(option: str, found: str, expected: str) -> UnsupportedError:
    return UnsupportedError(f"{option} is malformed.", found=repr(found), expected=expected)

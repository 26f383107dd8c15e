"""Reads options of the form NAME=VALUE."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Stored:
    """An array in a file.

    Attributes:
        path: The .npy or .npz file.
        array: Its name in an .npz file; empty for the only one.
    """

    path: Path
    array: str = ""


def parse_inputs(options: Iterable[str]) -> dict[str, Stored]:
    """Read `x=file.npy`, `x=file.npz` or `x=file.npz:array`.

    Raises:
        UnsupportedError: An option has another form, or the file is not there.
    """
    found: dict[str, Stored] = {}
    for option in options:
        name, text = _split("--input", option, "NAME=FILE.npy or NAME=FILE.npz:ARRAY")
        path, _, array = text.rpartition(":")
        is_plain = Path(text).is_file() or not path.endswith(".npz")
        stored = Stored(Path(text)) if is_plain else Stored(Path(path), array)
        if not stored.path.is_file():
            raise UnsupportedError("There is no such input file.", where=str(stored.path))
        found[name] = stored
    return found


def parse_variants(options: Iterable[str]) -> dict[str, Path]:
    """Read `half=file.onnx`.

    Raises:
        UnsupportedError: An option has another form, or the file is not there.
    """
    found: dict[str, Path] = {}
    for option in options:
        name, path = _split("--variant", option, "NAME=FILE.onnx, another form of the model")
        refuse_python(path)
        if not Path(path).is_file():
            raise UnsupportedError("There is no such model file.", where=path)
        found[name] = Path(path)
    return found


def is_python(source: str) -> bool:
    """Say whether SRC names a Python file rather than a model file."""
    return source.endswith(".py") or source.rpartition(":")[0].endswith(".py")


def refuse_python(source: str) -> None:
    """Demand a model file, where what has to be compiled first is of no use.

    Raises:
        UnsupportedError: It is a Python file, or a callable of one.
    """
    if is_python(source):
        callable_ = source if ":" in source else f"{source}:callable"
        raise UnsupportedError(
            "This takes a compiled model file, and no Python file.",
            found=source,
            remedy=f"write one first: sardonyx compile {callable_} -o net.onnx",
        )


def _split(option: str, text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise _malformed(option, text, form)
    return name, value


def _malformed(option: str, found: str, expected: str) -> UnsupportedError:
    return UnsupportedError(f"{option} is malformed.", found=repr(found), expected=expected)

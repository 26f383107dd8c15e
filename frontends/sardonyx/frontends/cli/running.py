"""`sardonyx run`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sardonyx import runtime
from sardonyx.compiler.errors import ExportError
from sardonyx.frontends.cli.feeds import make_feeds
from sardonyx.frontends.cli.options import is_python, parse_dims, parse_inputs
from sardonyx.frontends.cli.show import print_json, print_rows, status
from sardonyx.frontends.cli.writing import check_file


def model_of(source: str, quiet: bool) -> Any:
    """Return a model file's path as it is; compile what has to be compiled first."""
    if not is_python(source):
        return source
    from sardonyx import compiler
    from sardonyx.frontends.cli.source import load_source

    with status(f"compiling {source}", quiet):
        return compiler.compile(load_source(source))


def _session(
    source: str, threads: int | None, provider: list[str] | None, quiet: bool
) -> runtime.Session:
    return runtime.load(model_of(source, quiet), provider, threads=threads)


def run_once(
    source: str,
    inputs: Sequence[str],
    dims: Sequence[str],
    *,
    output: Path | None,
    seed: int,
    threads: int | None,
    provider: list[str] | None,
    as_json: bool,
) -> None:
    """Run a model once and describe its outputs."""
    if output is not None:
        check_file(output, "--output")
    files, lengths = parse_inputs(inputs), parse_dims(dims)
    session = _session(source, threads, provider, as_json)
    feeds = make_feeds(session.inputs, files, lengths, seed)
    results = session.run_named(feeds)
    if output is not None:
        _save(output, results)
    rows = [{"output": name, **_describe(value)} for name, value in results.items()]
    print_json({"outputs": rows}) if as_json else print_rows(f"{source}", rows)


def _save(path: Path, results: Mapping[str, Any]) -> None:
    """Write a .npz file whole or not at all.

    Raises:
        ExportError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            np.savez(stream, **results)
        os.replace(partial, path)
    except OSError as error:
        raise ExportError(
            "The outputs cannot be written.",
            where=str(path),
            found=error.strerror,
            remedy="choose a folder that is there, is writable and has space",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _describe(value: Any) -> dict[str, Any]:
    if not isinstance(value, np.ndarray):
        return {"type": type(value).__name__}
    described: dict[str, Any] = {"dtype": str(value.dtype), "shape": list(value.shape)}
    if value.size and value.dtype.kind in "fiub":
        numbers = value.astype(np.float64)
        figures = {"min": numbers.min(), "mean": numbers.mean(), "max": numbers.max()}
        described |= {name: _number(figure) for name, figure in figures.items()}
    return described


def _number(figure: float) -> float | str:
    """Return a number that JSON has; it has no NaN and no infinity."""
    return float(figure) if np.isfinite(figure) else str(figure)

"""Inputs for a session: from files, and random ones for the rest."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.frontends.cli.options import Stored
from sardonyx.runtime import InputError, Spec
from sardonyx.runtime.samples import random_input


def make_feeds(
    specs: Sequence[Spec], files: Mapping[str, Stored], dims: Mapping[str, int], seed: int
) -> dict[str, Any]:
    """Return a value for each required input; symbolic dimensions that `dims` lacks are 1.

    Raises:
        UnsupportedError: A name is not one of the model's, or an input cannot be made up.
    """
    names = [spec.name for spec in specs]
    symbols = {d for spec in specs for d in spec.shape or () if isinstance(d, str)}
    _check_known("input", files, names)
    _check_known("dimension", dims, sorted(symbols))
    rng = np.random.default_rng(seed)
    feeds: dict[str, Any] = {}
    for spec in specs:
        if spec.name in files:
            feeds[spec.name] = _read(spec.name, files[spec.name])
        elif spec.required:
            feeds[spec.name] = _random(spec, dims, rng)
    return feeds


def _check_known(what: str, given: Mapping[str, object], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise UnsupportedError(
                f"The model has no {what} {name!r}.", expected=", ".join(known) or "none"
            )


def _read(name: str, stored: Stored) -> npt.NDArray[Any]:
    try:
        held = np.load(stored.path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            return held
        with held:
            return np.asarray(held[_chosen(name, stored, held.files)])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UnsupportedError(
            "The input file is not a .npy or .npz file of numbers.",
            where=str(stored.path),
            found=_why(error),
        ) from error


def _chosen(name: str, stored: Stored, held: Sequence[str]) -> str:
    """Return which array of an .npz file is meant: the one that is named, or the only one."""
    if stored.array in held:
        return stored.array
    if not stored.array and len(held) == 1:
        return held[0]
    said = f"has no array {stored.array!r}" if stored.array else f"holds {len(held)} arrays"
    raise UnsupportedError(
        f"The input file {said}.",
        where=str(stored.path),
        found=", ".join(held) or "none",
        expected="the name of one of its arrays" if stored.array else "one, or the name of one",
        remedy=f"--input {name}={stored.path}:{held[0]}" if held else None,
    )


def read_sample(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz file, by name.

    Raises:
        UnsupportedError: It is not there, or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UnsupportedError(
            "The sample is not an .npz file of arrays.", where=str(path), found=_why(error)
        ) from error


def _why(error: Exception) -> str:
    # What numpy says then is how to run code that is in the file.
    return "pickled objects, or other bytes" if "pickle" in str(error) else str(error)


def _random(spec: Spec, dims: Mapping[str, int], rng: np.random.Generator) -> npt.NDArray[Any]:
    try:
        return random_input(spec, dims, rng)
    except InputError as error:
        raise UnsupportedError(
            f"No random value can be made for {spec}.", remedy=f"--input {spec.name}=FILE.npy"
        ) from error

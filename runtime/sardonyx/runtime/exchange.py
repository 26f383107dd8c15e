"""Arrays to and from a process of their own, in .npz files without pickles.

An .npz file knows neither Python strings nor the dtypes of ml_dtypes: names of dtypes go beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .narrow import narrow_dtype

Array = NDArray[Any]
_RAW = {1: np.uint8, 2: np.uint16}


def write_arrays(path: str | os.PathLike[str], arrays: Sequence[Array]) -> list[str]:
    """Write arrays; returns the names of their dtypes, which :func:`read_arrays` takes."""
    np.savez(path, *map(_storable, arrays))
    return ["str" if array.dtype.kind in "OU" else array.dtype.name for array in arrays]


def read_arrays(path: str | os.PathLike[str], dtypes: Sequence[str]) -> list[Array]:
    """The arrays of a file, in order."""
    with np.load(path, allow_pickle=False) as stored:
        return [_restored(stored[f"arr_{index}"], name) for index, name in enumerate(dtypes)]


def flat(value: Any) -> Iterator[Array]:
    """The arrays of an output: one, those of a sequence, or none for an absent optional."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    elif hasattr(value, "numpy"):
        yield value.numpy()
    elif value is not None:
        yield np.asarray(value)


def _storable(array: Array) -> Array:
    if array.dtype.kind == "O":
        return array.astype(np.str_)
    if array.dtype.kind == "V" or array.dtype.isbuiltin == 2:
        return array.view(_RAW[array.dtype.itemsize])
    return array


def _restored(array: Array, name: str) -> Array:
    if name == "str":
        return array.astype(object)
    return array if array.dtype.name == name else array.view(narrow_dtype(name))

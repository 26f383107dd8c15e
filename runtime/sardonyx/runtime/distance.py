"""How far the outputs of one session are from those of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def distance(outputs: Sequence[NDArray[Any]], reference: Sequence[NDArray[Any]]) -> float:
    """Largest |y - reference| over the largest |reference| of an output; the worst of all.

    Infinite where shapes, positions of NaN or infinity, or elements that are no floats differ.
    """
    if len(outputs) != len(reference):
        return math.inf
    return max(map(_array_distance, outputs, reference), default=0.0)


def _array_distance(y: NDArray[Any], expected: NDArray[Any]) -> float:
    if y.shape != expected.shape:
        return math.inf
    if not is_float(expected.dtype) or y.dtype.kind in "OSU":
        return 0.0 if np.array_equal(y, expected) else math.inf
    wide: Any = np.complex128 if expected.dtype.kind == "c" else np.float64
    y, expected = y.astype(wide), expected.astype(wide)
    finite = np.isfinite(expected)
    if not np.array_equal(y[~finite], expected[~finite], equal_nan=True):
        return math.inf
    if not np.isfinite(y[finite]).all():
        return math.inf
    scale = max(float(np.abs(expected[finite]).max(initial=0.0)), float(np.finfo(np.float32).tiny))
    return float(np.abs(y[finite] - expected[finite]).max(initial=0.0)) / scale


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of this dtype are rounded."""
    is_narrow = dtype.name.startswith(("bfloat", "float8"))
    return dtype.kind in "fc" or is_narrow

"""Inputs to try a model on, where none are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .narrow import NARROW, narrow_dtype
from .specs import Spec

_LARGEST_ID = 50
"""Random integers stay below it: they are mostly indices into something."""

_NARROW_LIMITS = {"int4": 8, "uint4": 16, "int2": 2, "uint2": 4}


def random_inputs(
    specs: Sequence[Spec], dims: Mapping[str, int], seed: int = 0
) -> dict[str, NDArray[Any]]:
    """A value for each required input; dimensions that ``dims`` lacks are the least.

    Raises:
        InputError: A dimension is not one of the model's, or an input cannot be made up.
    """
    known = sorted({d for spec in specs for d in spec.shape or () if isinstance(d, str)})
    for name in dims:
        if name not in known:
            raise InputError(
                f"the model has no dimension '{name}'",
                kind="unknown",
                expected=", ".join(known) or "none: all of its dimensions are fixed",
            )
    rng = np.random.default_rng(seed)
    return {spec.name: random_input(spec, dims, rng) for spec in specs if spec.required}


def random_input(spec: Spec, dims: Mapping[str, int], rng: np.random.Generator) -> NDArray[Any]:
    """A random value of one input.

    Raises:
        InputError: It is no tensor of known rank.
    """
    if spec.kind != "tensor" or spec.shape is None:
        raise InputError(
            f"no random value can be made for input '{spec.name}'",
            kind="type",
            input=spec.name,
            found=spec.type,
            expected="a tensor of known rank",
            remedy="give samples",
        )
    least = {axis: max(size, 1) for axis, size, _ in spec.limits}
    shape = [
        d if isinstance(d, int) else dims.get(str(d), least.get(axis, 1))
        for axis, d in enumerate(spec.shape)
    ]
    if spec.dtype == "string":
        return np.full(shape, "text", dtype=object)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if "mask" in spec.name and spec.dtype.startswith("int"):
        return np.ones(shape, dtype=spec.dtype)
    dtype = narrow_dtype(spec.dtype) if spec.dtype in NARROW else np.dtype(spec.dtype)
    if spec.dtype.startswith(("int", "uint")):
        limit = _NARROW_LIMITS.get(spec.dtype, _LARGEST_ID)
        return rng.integers(0, limit, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)

"""Inputs for comparisons: given, taken from examples, or made up at several sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from sardonyx.compiler.divergence import OnnxSide, Side
from sardonyx.compiler.divergence.side import rename
from sardonyx.compiler.errors import SardonyxError, UnsupportedError
from sardonyx.compiler.proof.samples import SIZES, generate, symbols_of
from sardonyx.runtime.limits import read_limits

Array = npt.NDArray[Any]
Sample = dict[str, Array]

_PATTERNS = ((1,), (2, 5, 3, 7), (6, 2, 9, 4), (4,))
"""Sizes of dynamic dims, in the order of their names, used in turn: all one, unequal, equal."""

_SOME, _MOST = 3, 2**14
_STEP = 32
"""By which sizes grow at most: it keeps what they are divided by, such as patches and strides."""


def checked_samples(
    given: Sequence[Mapping[str, Any]], reference: Side, other: OnnxSide
) -> list[Sample]:
    """Return a user's samples by the names of the other side's inputs.

    Raises:
        UnsupportedError: One of them names the inputs of neither.
    """
    samples = []
    for number, sample in enumerate(given):
        arrays = {name: np.asarray(array) for name, array in sample.items()}
        if set(arrays) == set(reference.inputs):
            arrays = {name: arrays[name] for name in reference.inputs}
        elif set(arrays) != set(other.inputs):
            raise UnsupportedError(
                "A sample does not name the inputs of the model.",
                where=f"sample {number}",
                found=", ".join(sorted(arrays)) or "none",
                expected=", ".join(other.inputs) or "none",
            )
        samples.append(rename(arrays, other.inputs, other.label))
    return samples


def examples(reference: Side, other: OnnxSide) -> Sample | None:
    """Return the inputs that a PyTorch module was given with, if it is one."""
    held = getattr(reference, "examples", None)
    return rename(held, other.inputs, other.label) if held else None


def made_up(reference: Side, other: OnnxSide) -> Sample:
    """Return inputs that the reference runs on: its examples, or such as fit the other side.

    Raises:
        SardonyxError: It runs on none of those that were tried; says why of the last.
    """
    held = examples(reference, other)
    if held is not None:
        return held
    problem: SardonyxError | None = None
    for seed, sizes in enumerate(SIZES):
        sample = generate(other.model, sizes, seed)
        try:
            reference.run(reference.fit(sample))
        except SardonyxError as error:
            problem = error
            if not symbols(other):
                break
            continue
        return sample
    assert problem is not None
    raise UnsupportedError(
        "The reference runs on no inputs that can be made up.",
        where=reference.label,
        found=" ".join(filter(None, (problem.what, problem.found))),
        remedy="give samples of your own",
    )


def symbols(side: OnnxSide) -> list[str]:
    """Return the names of the dynamic dims of a model's inputs, in order."""
    dims = [
        dim
        for value in side.model.graph.inputs
        if not value.is_initializer()
        for dim in value.shape or ()
        if isinstance(dim, ir.SymbolicDim)
    ]
    return list(dict.fromkeys(name for dim in dims for name in symbols_of(dim)))


def size_cases(side: OnnxSide, traced: Mapping[str, int]) -> list[dict[str, int]]:
    """Return sizes of the dynamic dims to try: all one, unequal, equal; at limits, above traced.

    Args:
        side: The model; it may carry the limits of dims.
        traced: The sizes that it was captured with, as far as they are known.
    """
    names = symbols(side)
    limits = read_limits(side.model.metadata_props, "the model")
    cases: list[dict[str, int]] = []
    for pattern in _PATTERNS:
        case = {
            name: _within(limits.get(name), pattern[index % len(pattern)])
            for index, name in enumerate(names)
        }
        cases.append(case)
    for end in (0, 1):
        ends = {name: limits[name][end] for name in names if name in limits}
        at_end = {name: size for name, size in ends.items() if size and size < _MOST}
        if at_end:
            cases.append({n: at_end.get(n, traced.get(n, _SOME)) for n in names})
    if traced:
        larger = {name: size + math.gcd(size, _STEP) for name, size in traced.items()}
        cases.append({n: _within(limits.get(n), larger.get(n, _SOME)) for n in names})
    return [case for index, case in enumerate(cases) if case not in cases[:index]]


def _within(limits: tuple[int, int | None] | None, size: int) -> int:
    least, most = limits or (1, None)
    return max(least, 1, size if most is None else min(size, most))


def lengths_in(sample: Mapping[str, Array], side: OnnxSide) -> dict[str, int]:
    """Return what the dynamic dims are in a sample."""
    found: dict[str, int] = {}
    for value in side.model.graph.inputs:
        array = sample.get(str(value.name))
        if array is None or value.shape is None or len(value.shape) != array.ndim:
            continue
        for dim, length in zip(value.shape, array.shape, strict=True):
            if isinstance(dim, ir.SymbolicDim):
                found.setdefault(str(dim.value), length)
    return found

"""Requests as rows of one batch: joined, run, and taken apart again."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from ..arrays import describe
from ..errors import BatchError, InputError, SardonyxError
from ..narrow import NARROW
from ..samples import random_inputs
from ..specs import Spec

Feed = dict[str, NDArray[Any]]


class Model(Protocol):
    """What runs batches: a session, or a session with buckets."""

    @property
    def inputs(self) -> tuple[Spec, ...]:
        """Its inputs."""
        ...

    @property
    def outputs(self) -> tuple[Spec, ...]:
        """Its outputs."""
        ...

    def run_named(
        self, feed: Mapping[str, Any], outputs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Run it on inputs by name."""
        ...

    def _bind(self, args: Sequence[Any], named: Mapping[str, Any], /) -> Feed:
        """The inputs of a call by name, checked."""
        ...


def check_specs(model: Model) -> frozenset[str]:
    """Make sure that inputs and outputs are tensors whose axis 0 has no fixed size.

    Returns:
        Inputs that are not, and have a default in the model: nobody has to give them.

    Raises:
        BatchError: Another one is not.
    """
    left_out = set()
    for what, specs in (("input", model.inputs), ("output", model.outputs)):
        for spec in specs:
            is_tensor = spec.kind == "tensor"
            is_joined = is_tensor and spec.dtype not in NARROW
            has_rows = spec.shape is None or (spec.shape and not isinstance(spec.shape[0], int))
            if is_joined and has_rows:
                continue
            if is_tensor and not spec.required:
                left_out.add(spec.name)
            elif not is_joined:
                _refuse(f"{what} '{spec.name}' cannot be joined", spec.type, "tensors of numbers")
            else:
                remedy = "export or compile the model with a dynamic batch"
                fixed = f"{what} '{spec.name}' has no batch axis"
                _refuse(fixed, spec.type, "an axis 0 of any size", remedy)
    return frozenset(left_out)


def rows_of(feed: Mapping[str, Any], left_out: Container[str] = ()) -> int:
    """Rows of a request: the size of axis 0 of all its inputs.

    Raises:
        InputError: They differ, or there are none, or an input is no array in CPU memory, or is
            one of those that are left out.
    """
    rows: dict[str, int] = {}
    for name, value in feed.items():
        if name in left_out:
            raise InputError(
                f"input '{name}' is the same for all requests of a batch",
                kind="unknown",
                input=name,
                found=describe(value),
                expected="none: the model has a default",
                remedy="call the session itself",
            )
        if not isinstance(value, np.ndarray) or not value.shape or not len(value):
            raise InputError(
                f"input '{name}' cannot be joined with those of other requests",
                kind="type",
                input=name,
                found=describe(value),
                expected="an array in CPU memory, with one row or more along axis 0",
            )
        rows[name] = len(value)
    if len(set(rows.values())) != 1:
        raise InputError(
            "the inputs disagree on how many rows the request has",
            kind="dim",
            found=", ".join(f"{size} rows of {name}" for name, size in rows.items()) or "no input",
            expected="one size of axis 0",
        )
    return next(iter(rows.values()))


def shape_key(feed: Mapping[str, NDArray[Any]]) -> tuple[Any, ...]:
    """What requests must have in common to be joined: names, and all sizes but the rows."""
    return tuple((name, value.shape[1:]) for name, value in sorted(feed.items()))


def join(feeds: Sequence[Mapping[str, NDArray[Any]]]) -> Feed:
    """The inputs of a batch."""
    if len(feeds) == 1:
        return dict(feeds[0])
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def split(outputs: Mapping[str, Any], rows: Sequence[int]) -> list[dict[str, NDArray[Any]]]:
    """The outputs of each request of a batch; copies, so that none keeps the batch alive.

    Raises:
        BatchError: An output has not as many rows as the batch.
    """
    total = sum(rows)
    for name, value in outputs.items():
        if not isinstance(value, np.ndarray) or not value.shape or len(value) != total:
            _refuse(
                f"output '{name}' has not a row for each row of the batch",
                f"{describe(value)} for a batch of {total}",
                f"{total} rows",
            )
    if len(rows) == 1:
        return [dict(outputs)]
    starts = np.cumsum([0, *rows])
    return [
        {name: value[start : start + size].copy() for name, value in outputs.items()}
        for start, size in zip(starts, rows, strict=False)
    ]


def check_independence(
    model: Model, sample: Mapping[str, Any] | None, left_out: Container[str] = ()
) -> None:
    """Make sure, on samples, that a row's outputs do not depend on what the other rows hold.

    Batches of the same size whose first rows are the same and whose second rows differ must have
    the same first rows of outputs, bit by bit.

    Args:
        model: The model.
        sample: Inputs by name; random ones, with sizes of 1, by default.
        left_out: Inputs that requests do not have.

    Raises:
        BatchError: They depend on each other, or the samples cannot be run.
        InputError: The sample does not fit the model's inputs.
    """
    first, second = _two_rows(model, sample, left_out)
    if all(same_bits(first[name], second[name]) for name in first):
        _refuse("the sample has no two rows that differ", "", "", "pass sample=two requests")
    try:
        alone = model.run_named(first)
        twice = split(model.run_named(join([first, first])), [1, 1])[0]
        mixed = split(model.run_named(join([first, second])), [1, 1])[0]
    except BatchError:
        raise
    except SardonyxError as error:
        reason = f"{error.what}: {error.found or ''}"
        _refuse("the model does not run on samples", reason, "", "pass sample=inputs of a request")
    split(alone, [1])
    for name in twice:
        if not same_bits(twice[name], mixed[name]):
            _refuse(
                f"output '{name}' of a row depends on the other rows of its batch",
                "other numbers when another row changes",
                "rows that are computed independently of each other",
            )


def same_bits(x: NDArray[Any], y: NDArray[Any]) -> bool:
    """Whether two arrays are the same; a NaN is like another."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    return np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")


def _two_rows(
    model: Model, sample: Mapping[str, Any] | None, left_out: Container[str]
) -> tuple[Feed, Feed]:
    """Two requests of one row each, of the same sizes and with other numbers."""
    if sample is None:
        try:
            first, second = (random_inputs(model.inputs, {}, seed) for seed in (1, 2))
        except InputError as error:
            _refuse(error.what, error.found or "", error.expected or "", "pass sample=...")
        return first, second
    given = model._bind((), sample)
    rows = rows_of(given, left_out)
    first = {name: value[:1] for name, value in given.items()}
    if rows > 1:
        return first, {name: value[1:2] for name, value in given.items()}
    # The same numbers in another order are as valid as they were, for indices and masks too.
    return first, {name: np.flip(value, -1).copy() for name, value in first.items()}


def _refuse(what: str, found: str, expected: str, remedy: str | None = None) -> NoReturn:
    raise BatchError(what, found=found, expected=expected, remedy=remedy)

"""What batchers and buckets are made with, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import LITERALS, cast, describe
from ..errors import SettingsError
from ..specs import Spec

MAX_BATCH = 32
"""Rows of a batch at most, by default."""


def check_number(name: str, value: Any, *, is_whole: bool = False, least: float = 1) -> None:
    """Make sure that a value is a number, and not too small.

    Raises:
        SettingsError: It is not.
    """
    kinds = (int,) if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not value >= least:
        number = "a whole number" if is_whole else "a number of seconds"
        raise SettingsError(
            f"{name} is not valid", found=repr(value), expected=f"{number}, {least:g} or more"
        )


def check_by_name(what: str, value: Any) -> None:
    """Make sure that a value is a dictionary.

    Raises:
        SettingsError: It is not.
    """
    if not isinstance(value, Mapping):
        found = describe(value)
        raise SettingsError(f"{what} is not valid", found=found, expected="a dictionary, by name")


def largest_batch(asked: int | None, bucket: int | None) -> int:
    """Rows of a batch at most, of what was asked for and the largest bucket, if there are any.

    Raises:
        SettingsError: More was asked for than the bucket has, or it is no number of rows.
    """
    if asked is None:
        return MAX_BATCH if bucket is None else min(MAX_BATCH, bucket)
    check_number("max_batch", asked, is_whole=True)
    if bucket is not None and asked > bucket:
        raise SettingsError(
            "max_batch is more than the largest bucket",
            found=str(asked),
            expected=f"at most {bucket}",
            remedy="make buckets with larger sizes",
        )
    return asked


def checked_sizes(sizes: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The sizes of each dimension, in their order.

    Raises:
        SettingsError: There are none, or one is not valid.
    """
    check_by_name("sizes", sizes)
    checked = {}
    for symbol, given in sizes.items():
        values = list(given) if isinstance(given, Iterable) else []
        if not values or not all(type(size) is int and size > 0 for size in values):
            raise SettingsError(
                f"the bucket sizes of '{symbol}' are not valid",
                found=repr(given),
                expected="whole numbers, 1 or more",
            )
        checked[symbol] = sorted(set(values))
    if not checked:
        raise SettingsError("there are no buckets", expected="sizes of a dimension by its name")
    return checked


def checked_samples(samples: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The samples.

    Raises:
        SettingsError: They are no list, or one is no dictionary.
    """
    if isinstance(samples, Mapping) or not isinstance(samples, Iterable):
        found, remedy = describe(samples), "samples=[{name: value, ...}, ...]"
        raise SettingsError("samples is not valid", found=found, expected="a list", remedy=remedy)
    checked = list(samples)
    for sample in checked:
        check_by_name("a sample", sample)
    return checked


def checked_fill(fill: Mapping[str, Any], padded: Sequence[Spec]) -> dict[str, Any]:
    """What to pad inputs with by name, in their dtypes.

    Raises:
        SettingsError: An input is not padded, or a value does not fit its dtype.
    """
    check_by_name("fill", fill)
    specs = {spec.name: spec for spec in padded}
    for name in fill:
        if name not in specs:
            raise SettingsError(
                f"there is no padded input '{name}' to fill", expected=", ".join(specs)
            )
    return {name: _filled(specs[name], value) for name, value in fill.items()}


def _filled(spec: Spec, value: Any) -> Any:
    filled: Any = None
    if spec.dtype == "string":
        filled = value if isinstance(value, str) else None
    elif isinstance(value, (*LITERALS, np.generic, np.ndarray)) and np.ndim(value) == 0:
        filled = cast(np.asarray(value), np.dtype(spec.dtype))
    if filled is None:
        raise SettingsError(
            f"input '{spec.name}' cannot be padded with this",
            found=describe(value),
            expected=f"a {spec.dtype} that keeps its value",
        )
    return filled

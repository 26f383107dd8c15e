"""What PyTorch answers, and how far another answer may be from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sardonyx.frontends.torch.capture import name_outputs
from tests.opinfo.cases import Case

UNDEFINED = frozenset(
    {
        *("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty"),
        *("new_empty_strided", "resize_", "resize_as_"),
    }
)
"""Operators whose numbers, or some of them, are whatever is in memory."""


MARGIN = 4.0
"""How many times PyTorch's own error another runtime's may be."""

FLOOR = 4.0
"""Units in the last place of an output's largest number that any may be off by."""

_NEARBY = 4


class NoAnswerError(Exception):
    """There is nothing that an answer could be compared with."""


class _Randomness(TorchDispatchMode):
    """While it is on, notes whether an operator that draws random numbers is used.

    Other seeds would not tell: the samples of such operators set the seed themselves.
    """

    is_used = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator of ATen."""
        self.is_used |= torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Answers:
    """What an operator gives in float32.

    Attributes:
        names: Names of the outputs.
        dtypes: Names of their dtypes; complex numbers are pairs of float32 in a last axis.
        right: Their numbers.
        allowed: What their numbers may be off by.
    """

    names: Sequence[str]
    dtypes: Sequence[str]
    right: Sequence[np.ndarray]
    allowed: Sequence[float]


def right_answers(case: Case) -> Answers:
    """Run a case in PyTorch.

    Raises:
        NoAnswerError: It gives no numbers, random ones or undefined ones, or fails.
    """
    if case.name.partition("#")[0] in UNDEFINED:
        raise NoAnswerError("undefined memory")
    try:
        with _Randomness() as randomness:
            first = _run(case)
    except Exception as error:
        raise NoAnswerError(f"PyTorch fails: {type(error).__name__}") from error
    if not first:
        raise NoAnswerError("no tensors")
    if any(tensor.layout is not torch.strided for tensor in first.values()):
        raise NoAnswerError("sparse tensors")
    if randomness.is_used:
        raise NoAnswerError("random numbers")
    right = [to_array(tensor) for tensor in first.values()]
    return Answers(
        names=list(first),
        dtypes=[_dtype_name(tensor) for tensor in first.values()],
        right=right,
        allowed=[allowed(x, error) for x, error in zip(right, _errors(case, right), strict=True)],
    )


def allowed(right: np.ndarray, error: float) -> float:
    """Return how far the numbers of an output may be from the right ones.

    Args:
        right: The right ones.
        error: How far PyTorch's own float32 arithmetic is off.
    """
    if right.dtype.kind != "f":
        return 0.0
    largest = float(np.abs(right[np.isfinite(right)]).max(initial=0.0))
    return max(MARGIN * error, FLOOR * float(np.finfo(right.dtype).eps) * largest)


def _errors(case: Case, right: Sequence[np.ndarray]) -> list[float]:
    """How far each output of PyTorch in float32 is from that in float64, at and about the sample.

    On the case's own inputs alone it could be right by chance. Zero where there is no float64.
    """
    errors = [0.0] * len(right)
    for seed in range(_NEARBY):
        try:
            narrow, wide = (_arrays(case, seed, wide=wide) for wide in (False, True))
        except Exception:
            break
        for index, (one, other) in enumerate(zip(narrow, wide, strict=True)):
            if one.shape == other.shape and one.dtype.kind == "f":
                both = np.isfinite(one) & np.isfinite(other)
                off = np.abs(one[both].astype(np.float64) - other[both])
                errors[index] = max(errors[index], float(off.max(initial=0.0)))
    return errors


def _arrays(case: Case, seed: int, *, wide: bool) -> list[np.ndarray]:
    tensors = _run(case, arguments=case.nearby_arguments(seed, wide=wide))
    return [to_array(tensor) for tensor in tensors.values()]


def _run(case: Case, arguments: Any = None) -> dict[str, torch.Tensor]:
    args, kwargs = arguments or case.arguments()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        named: dict[str, Any] = name_outputs(case.function(*args, **kwargs))
    return {name: x for name, x in named.items() if isinstance(x, torch.Tensor)}


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor in numpy; bfloat16 as float32, complex numbers as pairs."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return np.array(tensor.numpy())


def _dtype_name(tensor: torch.Tensor) -> str:
    dtype = tensor.dtype.to_real() if tensor.is_complex() else tensor.dtype
    return str(dtype).removeprefix("torch.")


def difference(found: Sequence[Any], answers: Answers) -> str | None:
    """How outputs differ from the right ones; None where they do not."""
    if len(found) != len(answers.names):
        return f"{len(found)} outputs instead of {len(answers.names)}"
    if not all(isinstance(array, np.ndarray) for array in found):
        return "an output is no array"
    for name, array, dtype, right in zip(
        answers.names, found, answers.dtypes, answers.right, strict=True
    ):
        if array.dtype.name != dtype:
            return f"{name}: dtype {array.dtype.name} instead of {dtype}"
        if array.shape != right.shape:
            return f"{name}: shape {array.shape} instead of {right.shape}"
    plain = [x.astype(y.dtype) for x, y in zip(found, answers.right, strict=True)]
    for name, array, right in zip(answers.names, plain, answers.right, strict=True):
        if right.dtype.kind not in "fc":
            count = int(np.sum(array != right))
            if count:
                return f"{name}: {count} of {right.size} elements differ"
        elif not _has_same_specials(array, right):
            return f"{name}: NaN or infinite in other places"
    told = (
        _excess(*row)
        for row in zip(answers.names, plain, answers.right, answers.allowed, strict=True)
    )
    return next(filter(None, told), None)


def _excess(name: str, found: np.ndarray, right: np.ndarray, limit: float) -> str | None:
    """How a number is further off than it may be."""
    finite = np.isfinite(right) & np.isfinite(found)
    with np.errstate(invalid="ignore"):
        off = np.where(finite, np.abs(found.astype(np.float64) - right.astype(np.float64)), 0.0)
    if not off.max(initial=0.0) > limit:
        return None
    worst = np.unravel_index(np.argmax(off), off.shape)
    return f"{name}: {found[worst]:.8g} instead of {right[worst]:.8g}, may be off by {limit:.2g}"


def _has_same_specials(found: np.ndarray, right: np.ndarray) -> bool:
    is_special = ~np.isfinite(right)
    same_places = bool(np.array_equal(is_special, ~np.isfinite(found)))
    return same_places and np.array_equal(found[is_special], right[is_special], equal_nan=True)

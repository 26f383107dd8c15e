"""The operator samples that PyTorch ships for its own tests, as modules with arguments."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

DTYPE = torch.float32


class Operator(torch.nn.Module):
    """A module that is one operator, and does not write to what it is given."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the operator."""
        return self._function(*args, **kwargs)


@dataclass(frozen=True)
class Case:
    """One operator with one of its samples.

    Attributes:
        name: Full name of the operator, and the number of the sample where it is not the first.
        function: The operator.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """

    name: str
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments; tensors are copies, since some operators write to them."""
        copied: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map_only(
            torch.Tensor, _copy, (self.args, self.kwargs)
        )
        return copied

    def nearby_arguments(self, seed: int, *, wide: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments that differ a little; none with seed 0. The wide ones are float64."""
        generator = torch.Generator().manual_seed(seed)

        def moved(leaf: Any) -> Any:
            if isinstance(leaf, torch.dtype):
                return _WIDER.get(leaf, leaf) if wide else leaf
            if not isinstance(leaf, torch.Tensor):
                return leaf
            made = _copy(leaf)
            if seed and leaf.dtype == torch.float32:
                made *= 1 + _A_LITTLE * torch.rand(leaf.shape, generator=generator)
            return made.to(_WIDER.get(made.dtype, made.dtype)) if wide else made

        found: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map(
            moved, (self.args, self.kwargs)
        )
        return found


_WIDER = {torch.float32: torch.float64, torch.complex64: torch.complex128}
_A_LITTLE = 2.0**-12


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of its own with the same numbers and strides."""
    return tensor.detach().clone()


def operators() -> dict[str, Any]:
    """The operators of the database that take float32 on CPU, by their full names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {op.full_name: op for op in op_db if op.supports_dtype(DTYPE, "cpu")}


def cases(operator: Any, most: int | None = 1) -> Iterator[Case]:
    """The first samples of an operator; all of them where `most` is None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = itertools.islice(operator.sample_inputs("cpu", DTYPE), most)
        for index, sample in enumerate(samples):
            name = f"{operator.full_name}#{index}" if index else operator.full_name
            args = (sample.input, *sample.args)
            yield Case(name, operator.op, args, dict(sample.kwargs))

"""Disturbs the arithmetic of PyTorch: each value that it rounds is off in its last digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from sardonyx.compiler.proof.exact import digits

_EXACT = frozenset(
    {
        *("_to_copy", "cat", "clone", "constant_pad_nd", "embedding", "gather", "index"),
        *("index_select", "masked_fill", "max_pool2d_with_indices", "neg", "relu", "repeat"),
        *("stack", "where", "abs", "clamp", "maximum", "minimum", "sort", "topk", "roll", "flip"),
        *("full", "full_like", "zeros", "zeros_like", "ones", "ones_like", "arange", "empty"),
        *("empty_like", "new_zeros", "new_ones", "new_full", "scalar_tensor", "tril", "triu"),
        *("_unsafe_index", "repeat_interleave", "amax", "amin", "max", "min", "lift_fresh_copy"),
        *("scatter", "slice_scatter", "select_scatter", "diagonal_scatter", "index_fill", "fill"),
        *("floor", "ceil", "round", "trunc", "sign", "eye"),
    }
)
"""Operators of ATen that do not round."""

_SHORT_STAYS_SHORT = frozenset(
    {
        *("add", "sub", "rsub", "mul", "div", "sqrt", "sum", "cumsum", "prod", "fmod", "mm"),
        *("bmm", "scatter", "scatter_add", "index_add", "index_put", "floor_divide"),
    }
)
"""Operators of ATen that round numbers, but no short ones (`sardonyx.compiler.proof.exact`)."""

_FEW = 64


class DisturbedArithmetic(TorchDispatchMode):
    """While it is on, multiplies what operators round by numbers a little below one.

    They differ from one by at most two units in the last place. (Stochastic arithmetic, as in
    `sardonyx.compiler.proof.noise`.)

    Args:
        seed: Of the random numbers.
        epsilon: The least distance from one to the next number, where that of the dtype is finer.
    """

    def __init__(self, seed: int, epsilon: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._epsilon = epsilon
        self._random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator of ATen, and disturb what it gives."""
        made = func(*args, **(kwargs or {}))
        if is_exact(func):
            return made
        keeps = _name(func) in _SHORT_STAYS_SHORT and _all_short((args, kwargs))
        return pytree.tree_map_only(torch.Tensor, lambda x: self.disturbed(x, keeps), made)

    def disturbed(self, tensor: torch.Tensor, keeps_short: bool = False) -> torch.Tensor:
        """Return a tensor whose numbers are off in their last digits, or its short ones not."""
        if not tensor.is_floating_point() or tensor.device.type == "meta":
            return tensor
        epsilon = 2 * max(torch.finfo(tensor.dtype).eps, self._epsilon)
        computed = torch.promote_types(tensor.dtype, torch.float32)
        drawn = torch.rand(tensor.shape, generator=self._random, dtype=computed)
        if keeps_short:
            drawn = drawn * ~_short(tensor)
        factor = 1 - epsilon * drawn.to(tensor.device)
        return (tensor.to(computed) * factor).to(tensor.dtype)


def is_exact(func: Any) -> bool:
    """Say whether an operator gives the very numbers it is given, or a view of them."""
    schema: Any = func._schema
    is_view = any(result.alias_info is not None for result in schema.returns)
    return is_view or (_name(func) in _EXACT and "reduce" not in schema.overload_name)


def _name(func: Any) -> str:
    return str(func._schema.name.rpartition("::")[2])


def _all_short(operands: Any) -> bool:
    """Say whether all numbers that an operator of floating point is given are short."""
    leaves = pytree.tree_leaves(operands)
    given = [torch.as_tensor(x) for x in leaves if isinstance(x, (torch.Tensor, float))]
    numbers = [x.reshape(-1) for x in given if x.is_floating_point()]
    # Of weights a few tell.
    probes = (x[:: x.numel() // _FEW + 1] for x in numbers)
    return all(bool(_short(x).all()) for x in (*probes, *numbers))


def _short(tensor: torch.Tensor) -> torch.Tensor:
    before, after = digits(torch.finfo(tensor.dtype).eps)
    wide = tensor.double()
    return (wide.abs() < 2.0**before) & (wide * 2.0**after % 1 == 0)

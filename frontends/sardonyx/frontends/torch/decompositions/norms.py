"""Norms, normalisation by the numbers of the batch, softmax in another dtype."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.doubles import is_rounded
from sardonyx.frontends.torch.decompositions.left import LEFT

Three = tuple[Tensor, Tensor, Tensor]
aten = torch.ops.aten


def batch_norm(  # noqa: PLR0917 (the operator's schema)
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Three:
    """In training mode: by the batch's mean and variance. The running ones are left as they are."""
    return _by_batch(x, weight, bias, eps) if training else LEFT


def batch_norm_without_statistics(  # noqa: PLR0917 (the operator's schema)
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Three:
    """By the batch's mean and variance."""
    return _by_batch(x, weight, bias, eps)


def batch_norm_with_new_statistics(  # noqa: PLR0917 (the operator's schema)
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    """In training mode: by the batch's mean and variance, and the running ones after it."""
    if not training:
        return LEFT
    made, mean, rstd = _by_batch(x, weight, bias, eps)
    count = x.numel() // x.shape[1]
    variance = x.var([axis for axis in range(x.dim()) if axis != 1], correction=0)
    unbiased = variance * (count / max(count - 1, 1))
    new_mean = running_mean * (1 - momentum) + mean * momentum
    new_var = running_var * (1 - momentum) + unbiased * momentum
    return made, mean, rstd, new_mean, new_var


def _by_batch(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Three:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    per_channel = [1 if axis != 1 else -1 for axis in range(x.dim())]
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    rstd = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    made = centred * rstd
    if weight is not None:
        made = made * weight.reshape(per_channel)
    if bias is not None:
        made = made + bias.reshape(per_channel)
    return made, mean.reshape(-1), rstd.reshape(-1)


def distances(x: Tensor, p: float = 2.0) -> Tensor:
    """Pdist: the p-norm of each row minus each later one; their places are known if rows are."""
    if not isinstance(x.shape[0], int):
        return LEFT
    if x.shape[0] < 2:
        return x.new_zeros(0)
    first, second = torch.triu_indices(x.shape[0], x.shape[0], 1, device=x.device)
    made: Tensor = torch.linalg.vector_norm(x[first] - x[second], p, -1)
    return made


def softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Computed in the dtype that is asked for, not only given in it."""
    if dtype is None or dtype == x.dtype:
        return LEFT
    made: Tensor = aten.softmax.int(x.to(dtype), dim)
    return made


def log_softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Computed in the dtype that is asked for, not only given in it."""
    if dtype is None or dtype == x.dtype:
        return LEFT
    made: Tensor = aten.log_softmax.int(x.to(dtype), dim)
    return made


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The norm of all numbers with their axes kept, of a scalar, or of an order that is rounded."""
    if x.dim() == 0 and dim:
        made: Tensor = torch.linalg.vector_norm(x.reshape(1), ord, dtype=dtype)
        return made.reshape(())
    if dim is None and keepdim and x.dim() > 0:
        axes = [*range(x.dim())]
        kept: Tensor = torch.linalg.vector_norm(x, ord, axes, keepdim, dtype=dtype)
        return kept
    if ord == 0 or not is_rounded(1 / ord, dtype or x.dtype):
        return LEFT
    powers = x.to(dtype or x.dtype).abs() ** ord
    return powers.sum(None if dim is None else [*dim], keepdim) ** (1 / ord)


TABLE = {
    "_native_batch_norm_legit.default": batch_norm,
    "_native_batch_norm_legit.no_stats": batch_norm_without_statistics,
    "_native_batch_norm_legit_functional.default": batch_norm_with_new_statistics,
    "_pdist_forward.default": distances,
    "linalg_vector_norm.default": vector_norm,
    "log_softmax.int": log_softmax,
    "native_batch_norm.default": batch_norm,
    "softmax.int": softmax,
}

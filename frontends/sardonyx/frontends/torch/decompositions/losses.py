"""Losses."""

from __future__ import annotations

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT


def cross_entropy(  # noqa: PLR0917 (the operator's schema)
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of a single row of scores, as that of a batch of one; that of probabilities."""
    if target.is_floating_point():
        return _of_probabilities(x, target, weight, reduction, label_smoothing)
    if x.dim() != 1:
        return LEFT
    made: Tensor = torch.ops.aten.cross_entropy_loss.default(
        x.unsqueeze(0), target.unsqueeze(0), weight, reduction, ignore_index, label_smoothing
    )
    return made.reshape(())


def _of_probabilities(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: int, label_smoothing: float
) -> Tensor:
    axis = min(1, x.dim() - 1)
    classes = x.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    products = torch.log_softmax(x, axis) * target
    if weight is not None:
        products = products * weight.reshape([-1] + [1] * (x.dim() - 1 - axis))
    losses = -products.sum(axis)
    return losses if reduction == 0 else losses.mean() if reduction == 1 else losses.sum()


def soft_margin(x: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """log(1 + exp(-target * x)), exact to the last digits where it is nearly zero.

    Written as Softplus it would not be: ONNX Runtime adds one to what is too small for that.
    """
    losses = torch.log1p(torch.reciprocal(torch.exp(target * x)))
    return losses if reduction == 0 else losses.mean() if reduction == 1 else losses.sum()


TABLE = {
    "cross_entropy_loss.default": cross_entropy,
    "soft_margin_loss.default": soft_margin,
}

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
    """The loss of a single row of scores, as that of a batch of one."""
    if x.dim() != 1:
        return LEFT
    made: Tensor = torch.ops.aten.cross_entropy_loss.default(
        x.unsqueeze(0), target.unsqueeze(0), weight, reduction, ignore_index, label_smoothing
    )
    return made.reshape(())


def soft_margin(x: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """log(1 + exp(-target * x)), exact to the last digits where it is nearly zero.

    Written as Softplus it would not be: ONNX Runtime adds one to what is too small for that.
    """
    losses = torch.log1p(torch.reciprocal(torch.exp(target * x)))
    return losses if reduction == 0 else losses.mean() if reduction == 1 else losses.sum()


aten = torch.ops.aten

TABLE = {
    aten.cross_entropy_loss.default: cross_entropy,
    aten.soft_margin_loss.default: soft_margin,
}

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


TABLE = {torch.ops.aten.cross_entropy_loss.default: cross_entropy}

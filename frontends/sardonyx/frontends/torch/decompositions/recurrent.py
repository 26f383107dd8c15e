"""Recurrent layers whose hidden state is smaller than their cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT

Parts = tuple[Tensor, Tensor, Tensor]


def lstm(  # noqa: PLR0917 (the operator's schema)
    input: Tensor,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Parts:
    """An LSTM with projections, by those without, which ONNX has; others are left."""
    hidden, cells = hx
    if hidden.shape[2] == cells.shape[2] or (train and dropout):
        return LEFT
    directions, each = 1 + bidirectional, 5 if has_biases else 3
    x = input.transpose(0, 1) if batch_first else input
    ends: list[tuple[Tensor, Tensor]] = []
    for _ in range(num_layers):
        rows = []
        for is_reverse in (False, True)[:directions]:
            index = len(ends)
            weights = params[index * each : (index + 1) * each]
            given = x.flip(0) if is_reverse else x
            made, *end = _projected(given, hidden[index], cells[index], weights)
            rows.append(made.flip(0) if is_reverse else made)
            ends.append((end[0], end[1]))
        x = torch.cat(rows, -1)
    last, last_cells = (torch.stack(parts) for parts in zip(*ends, strict=True))
    return x.transpose(0, 1) if batch_first else x, last, last_cells


def _projected(x: Tensor, hidden: Tensor, cell: Tensor, weights: Sequence[Tensor]) -> Parts:
    """One layer in one direction: what comes before its projections is a plain LSTM's.

    The projection is a factor of the recurrent weights. What these make of the first hidden state
    comes as more of the first input, since no state before its projection need give it.
    """
    of_input, of_hidden, *biases, projection = weights
    first = torch.nn.functional.pad(hidden.unsqueeze(0), (0, 0, 0, 0, 0, x.shape[0] - 1))
    params = [torch.cat([of_input, of_hidden], 1), of_hidden @ projection, *biases]
    state = [torch.zeros_like(cell).unsqueeze(0), cell.unsqueeze(0)]
    made, last, last_cell = torch.ops.aten.lstm.input(
        torch.cat([x, first], -1), state, params, bool(biases), 1, 0.0, False, False, False
    )
    return made @ projection.mT, last[0] @ projection.mT, last_cell[0]


TABLE = {"lstm.input": lstm}

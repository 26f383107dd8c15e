"""Operators of PyTorch written with others, where the exporter has no lowering or a wrong one.

A table for each part has them by their overloads' names in ``torch.ops.aten``. Each decomposition
takes what the operator takes, and gives `LEFT` for arguments that it leaves to the exporter.
PyTorch traces it: sizes may be symbolic, values are not known.
"""

from __future__ import annotations

from sardonyx.frontends.torch.aten import Table, overloads
from sardonyx.frontends.torch.decompositions import (
    aliases,
    doubles,
    elementwise,
    fourier,
    indexing,
    linalg,
    losses,
    norms,
    ordering,
    pooling,
    ranges,
    recurrent,
    reductions,
    resizing,
    special,
)

_PARTS = (
    aliases,
    doubles,
    elementwise,
    fourier,
    indexing,
    linalg,
    losses,
    norms,
    ordering,
    pooling,
    ranges,
    recurrent,
    reductions,
    resizing,
    special,
)


def decompositions() -> Table:
    """The decompositions of all operators that the installed PyTorch has, by overload."""
    return {key: made for part in _PARTS for key, made in overloads(part.TABLE).items()}

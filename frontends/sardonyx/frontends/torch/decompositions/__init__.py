"""Operators of PyTorch written with others, where the exporter has no lowering or a wrong one.

Each decomposition takes what the operator takes, and gives `LEFT` for arguments that it
leaves to the exporter. PyTorch traces it: sizes may be symbolic, values are not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sardonyx.frontends.torch.decompositions import (
    aliases,
    elementwise,
    fourier,
    indexing,
    linalg,
    losses,
    norms,
    ordering,
    pooling,
    reductions,
    special,
)

Table = dict[Any, Callable[..., Any]]

_PARTS = (
    aliases,
    elementwise,
    fourier,
    indexing,
    linalg,
    losses,
    norms,
    ordering,
    pooling,
    reductions,
    special,
)


def decompositions() -> Table:
    """The decompositions of all operators, by overload."""
    return {operator: function for part in _PARTS for operator, function in part.TABLE.items()}

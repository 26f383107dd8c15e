"""PyTorch's operators by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

Table = dict[Any, Callable[..., Any]]


def overloads(table: Mapping[str, Callable[..., Any]]) -> Table:
    """A table by overload, from one by the names that these have in ``torch.ops.aten``.

    Operators come and go with PyTorch's versions: what the installed one lacks is left out.
    """
    found = {}
    for name, function in table.items():
        operator, overload = name.split(".")
        packet = getattr(torch.ops.aten, operator, None)
        if hasattr(packet, overload):
            found[getattr(packet, overload)] = function
    return found

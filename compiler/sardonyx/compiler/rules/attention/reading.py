"""What the readers of attention share: producers, numbers, shapes."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants, provenance
from sardonyx.compiler.rewrite import No, no
from sardonyx.compiler.rules.producers import made_by

Dims = Sequence[int | ir.SymbolicDim]

_SMALL = 4_096
"""Bytes of the largest constant that is read to see whether it is one number."""


def number(value: ir.Value | None) -> float | None:
    """Return the one number that a value is filled with, or None.

    It may be a constant, or one that is expanded to a shape known when the model runs.
    """
    node = made_by(value, "Expand", "ConstantOfShape")
    if node is not None and node.op_type == "Expand":
        return number(node.inputs[0])
    if node is not None:
        held = node.attributes.get("value")
        array = held.as_tensor().numpy() if held is not None else np.zeros((), np.float32)
    else:
        known = constants.array(value, _SMALL)
        if known is None:
            return None
        array = known
    if array.size == 0 or np.any(array != array.flat[0]):
        return None
    return float(array.flat[0])


def is_same_dim(a: int | ir.SymbolicDim, b: int | ir.SymbolicDim) -> bool:
    """Say whether two dimensions are equal for every value of their symbols."""
    return a == b and (isinstance(a, int) or a.value is not None)


def dims_of(value: ir.Value | None) -> list[int | ir.SymbolicDim]:
    """Return the dimensions of a value; none if their number is not known."""
    return list(value.shape or ()) if value is not None else []


def swaps_rows(perm: tuple[int, ...] | None) -> bool:
    """Say whether a transpose swaps the last two axes and no others."""
    rank = len(perm or ())
    return perm == (*range(rank - 2), rank - 1, rank - 2)


def only_read_by(value: ir.Value, inside: Container[ir.Node], what: str) -> bool | No:
    """Refuse a value that is an output of the graph, or that a node outside reads too."""
    if value.is_graph_output():
        return no(f"{what} are an output of the graph", value)
    for user, _ in value.uses():
        if user not in inside:
            return no(f"{what} are also read by {provenance.site(user)}", value)
    return True

"""Constant pads in front of an operator that has pads of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.rewrite import Match, No, const, maybe, no
from sardonyx.compiler.rewrite.pattern import Operator, Pattern, PatternBuilder


def pad(op: PatternBuilder, x: Pattern | str) -> Operator:
    """Match a Pad of `x` by constants, as captures pads, filling, axes and padding."""
    return op.Pad(
        x, const("pads"), maybe(const("filling")), maybe(const("axes")), attributes="padding"
    )


def pad_value(match: Match) -> float:
    """Return the number that a matched Pad fills in."""
    return 0.0 if match.filling is None else float(match.filling.item())


def spatial_pads(match: Match) -> list[int] | No:
    """Return the pads of the spatial axes, all starts and then all ends, as operators have them.

    Refuses modes that do not fill in a constant, batch and channel pads, and negative pads.
    """
    if match.padding.mode != "constant":
        return no(f"it pads in mode {match.padding.mode!r}")
    x: ir.Value = match.x
    if x.shape is None:
        return no("the rank of the input is not known", x)
    rank = len(x.shape)
    axes = slice(None) if match.axes is None else match.axes
    begins, ends = np.zeros(rank, np.int64), np.zeros(rank, np.int64)
    begins[axes], ends[axes] = np.split(match.pads, 2)
    pads = [*begins, *ends]
    if min(pads) < 0:
        return no("it crops: a pad is negative")
    if any([*begins[:2], *ends[:2]]):
        return no("it pads the batch or the channels")
    return [int(p) for p in (*begins[2:], *ends[2:])]


def total_pads(match: Match, own: Sequence[int] | None) -> list[int]:
    """Return the sum of a matched Pad's pads and an operator's own."""
    added = spatial_pads(match)
    assert not isinstance(added, No)
    return [a + b for a, b in zip(added, own or [0] * len(added), strict=True)]

"""Softmax over an axis that several others follow: those are one axis while it runs.

ONNX Runtime's CPU kernel swaps the axis with the last one before and after. Where the two are
neighbours that moves whole rows; else it moves element by element, and costs far more than the
exponentials do.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule


def _flatten(op: Builder, m: Match) -> ir.Value:
    """Softmax over axis 1 of [n, c, h, w] is that over axis 1 of [n, c, h*w]."""
    dims = list(m.x.shape)
    axis = m.softmax.axis % len(dims)
    inner = [dim if isinstance(dim, int) else -1 for dim in dims[axis + 1 :]]
    # Where the batch is empty, no length can be found for -1.
    joined = -1 if -1 in inner else math.prod(inner)
    flat = op.Reshape(m.x, np.array([0] * (axis + 1) + [joined], dtype=np.int64))
    made = op.call(m.root.op_type, flat, axis=axis)
    if inner.count(-1) > 1:
        # A length of zero is one, not that of the operand.
        return op.Reshape(made, op.Shape(m.x), allowzero=1)  # type: ignore[no-any-return]
    shape = np.array([0] * (axis + 1) + inner, dtype=np.int64)
    return op.Reshape(made, shape)  # type: ignore[no-any-return]


def _has_inner_axes(m: Match) -> bool | No:
    if m.x.shape is None:
        return no("its rank is not known", m.x)
    rank = len(m.x.shape)
    if 0 in m.x.shape:
        return no("it is empty", m.x)
    return m.softmax.axis % rank < rank - 2 or no("fewer than two axes follow its axis", m.x)


FLAT_SOFTMAX = rule(
    "flat_softmax",
    lambda op: op.call(("Softmax", "LogSoftmax"), "x", attributes="softmax"),
    _flatten,
    _has_inner_axes,
)

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
    inner = dims[axis + 1 :]
    if all(isinstance(dim, int) for dim in inner):
        kept = [0] * (axis + 1)
        flat = op.Reshape(m.x, np.array([*kept, math.prod(inner)], dtype=np.int64))
        back, options = np.array([*kept, *inner], dtype=np.int64), {}
    else:
        # In an empty tensor no length can be found for -1, and one of 0 is not the operand's.
        length = op.ReduceProd(op.Shape(m.x, start=axis + 1), keepdims=1)
        shape = op.Concat(op.Shape(m.x, end=axis + 1), length, axis=0)
        flat = op.Reshape(m.x, shape, allowzero=1)
        back, options = op.Shape(m.x), {"allowzero": 1}
    made = op.call(m.root.op_type, flat, axis=axis)
    return op.Reshape(made, back, **options)  # type: ignore[no-any-return]


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

"""PRelu by Relu, for a runtime whose Relu is fast and whose PRelu is not.

In ONNX Runtime's blocked layout Relu, products with a constant per channel and sums are at home,
PRelu is not: it would cost a reorder on either side.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, no, rule


def _by_relu(op: Builder, m: Match) -> ir.Value:
    """PRelu(x) is a * x + (1-a) * Relu(x) for 0 < a < 1, else Relu(x) - a * Relu(-x).

    For other slopes the first form would lose digits to cancellation, and make NaN of infinity.
    """
    rank = len(m.x.shape)
    slope = m.slope.reshape((1,) * (rank - m.slope.ndim) + m.slope.shape)
    positive = op.Relu(m.x)
    if np.all((slope > 0) & (slope < 1)):
        between: ir.Value = op.Add(op.Mul(m.x, slope), op.Mul(positive, 1 - slope))
        return between
    # Neg is not at home in the blocked layout, a product with a constant per channel is.
    negative = op.Relu(op.Mul(m.x, np.full_like(slope, -1)))
    beyond: ir.Value = op.Add(positive, op.Mul(negative, -slope))
    return beyond


def _has_known_rank(m: Match) -> bool | No:
    if m.x.dtype != ir.DataType.FLOAT:
        return no("it does not compute in single precision", m.x)
    if m.x.shape is None:
        return no("the rank is not known", m.x)
    if not np.all(np.isfinite(m.slope)):
        return no("a slope is infinite or NaN", m.value("slope"))
    return m.slope.ndim <= len(m.x.shape) or no("its slope has more axes than its input", m.x)


PRELU_BY_RELU = rule(
    "prelu_by_relu", lambda op: op.PRelu("x", const("slope")), _by_relu, _has_known_rank
)

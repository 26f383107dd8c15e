"""LeakyRelu, or PRelu where the slope differs, from comparisons, maxima and two Relus."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rewrite.pattern import Operator, PatternBuilder
from sardonyx.compiler.rules.activation.spelling import has_kernel, negative


def _by_comparison(op: PatternBuilder) -> tuple[Operator, ...]:
    sloped = op.Mul("x", const("slope"))
    return (
        op.Where(op.call(("Greater", "GreaterOrEqual"), "x", 0), "x", sloped),
        op.Where(op.call(("Less", "LessOrEqual"), "x", 0), sloped, "x"),
    )


def _by_relus(op: PatternBuilder) -> tuple[Operator, ...]:
    below = op.Mul(op.Relu(negative(op, "x")), const("slope"))
    return op.Sub(op.Relu("x"), below), op.Add(op.Relu("x"), below)


def _leaky_relu(op: Builder, m: Match) -> ir.Value:
    """Where(x > 0, x, a*x), Max(x, a*x) and Relu(x) - a*Relu(-x) are LeakyRelu(x)."""
    slope = -m.slope if m.root.op_type == "Add" else m.slope
    if not _is_one(slope):
        per_channel: ir.Value = op.PRelu(m.x, slope)
        return per_channel
    made: ir.Value = op.LeakyRelu(m.x, alpha=float(slope.flat[0]))
    return made


def _is_leaky(m: Match) -> bool | No:
    fits = has_kernel(m)
    if not fits:
        return fits
    if m.root.op_type == "Max" and not np.all((m.slope >= 0) & (m.slope <= 1)):
        return no("the slope is not between 0 and 1", m.value("slope"))
    return True


def _is_one(slope: Array) -> bool:
    """Say whether all slopes are one number; there may be none at all."""
    return bool(slope.size) and bool(np.all(slope == slope.flat[0]))


LEAKY_RELU = rule(
    "leaky_relu",
    lambda op: any_of(
        *_by_comparison(op), op.Max("x", op.Mul("x", const("slope"))), *_by_relus(op)
    ),
    _leaky_relu,
    _is_leaky,
)


def _with_one_slope(op: Builder, m: Match) -> ir.Value:
    """PRelu with one slope for all is LeakyRelu, which ONNX Runtime takes into convolutions."""
    made: ir.Value = op.LeakyRelu(m.x, alpha=float(m.slope.flat[0]))
    return made


def _has_one_slope(m: Match) -> bool | No:
    fits = has_kernel(m)
    if not fits:
        return fits
    return _is_one(m.slope) or no("the slopes differ", m.value("slope"))


PRELU_TO_LEAKY_RELU = rule(
    "prelu_to_leaky_relu",
    lambda op: op.PRelu("x", const("slope")),
    _with_one_slope,
    _has_one_slope,
)

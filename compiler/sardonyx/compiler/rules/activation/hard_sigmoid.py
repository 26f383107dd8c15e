"""HardSigmoid from a sum that is clipped, and HardSwish, its product with x."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, about, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import ABOUT, Pattern, PatternBuilder
from sardonyx.compiler.rules.activation.spelling import has_kernel

_SIXTH = 1 / 6


def _clipped(op: PatternBuilder) -> Pattern:
    return op.Clip(op.Add("x", 3), 0, 6)


def _over_six(op: PatternBuilder, x: Pattern | str) -> Pattern:
    return any_of(op.Div(x, 6), op.Mul(x, about(_SIXTH)))


def _hard_sigmoid(op: PatternBuilder) -> Pattern:
    return any_of(
        _over_six(op, _clipped(op)),
        op.Clip(op.Add(_over_six(op, "x"), 0.5), 0, 1),
    )


def _sigmoid(op: Builder, m: Match) -> ir.Value:
    """clip(x + 3, 0, 6) / 6 and clip(x/6 + 1/2, 0, 1) are HardSigmoid(x)."""
    made: ir.Value = op.HardSigmoid(m.x, alpha=_SIXTH, beta=0.5)
    return made


def _swish(op: Builder, m: Match) -> ir.Value:
    """x * clip(x + 3, 0, 6) / 6 is HardSwish(x)."""
    made: ir.Value = op.HardSwish(m.x)
    return made


def _has_slope_of_a_sixth(m: Match) -> bool | No:
    fits = has_kernel(m)
    if not fits or m.sigmoid is None:
        return fits
    is_sixth = abs(m.sigmoid.alpha - _SIXTH) <= ABOUT * _SIXTH
    return is_sixth or no(f"the HardSigmoid has alpha = {m.sigmoid.alpha:.7g}, not 1/6", m.x)


HARD_SIGMOID = rule("hard_sigmoid", _hard_sigmoid, _sigmoid, has_kernel)

HARD_SWISH = rule(
    "hard_swish",
    lambda op: any_of(
        op.Mul("x", op.HardSigmoid("x", beta=0.5, attributes="sigmoid")),
        op.Mul("x", _hard_sigmoid(op)),
        _over_six(op, op.Mul("x", _clipped(op))),
        op.Mul(_over_six(op, "x"), _clipped(op)),
    ),
    _swish,
    _has_slope_of_a_sixth,
)

"""`clip(x + 3, 0, 6) / 6` is HardSigmoid; times x it is HardSwish."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import FLOATS

_SIXTH = 1 / 6


def _clipped(op: PatternBuilder) -> Pattern:
    return op.Clip(op.Add("x", 3), 0, 6)


def _over_six(op: PatternBuilder, x: Pattern | str) -> Pattern:
    return any_of(op.Div(x, 6), op.Mul(x, _SIXTH))


def _sigmoid(op: Builder, m: Match) -> ir.Value | No:
    """clip(x + 3, 0, 6) / 6 is max(0, min(1, x/6 + 1/2))."""
    made: ir.Value = op.HardSigmoid(m.x, alpha=_SIXTH, beta=0.5)
    return made


def _swish(op: Builder, m: Match) -> ir.Value | No:
    """x * clip(x + 3, 0, 6) / 6 is HardSwish(x)."""
    made: ir.Value = op.HardSwish(m.x)
    return made


def _is_float(m: Match) -> bool | No:
    x, result = m.x, m.root.outputs[0]
    if x.dtype not in FLOATS:
        return no("it does not compute in floats", x)
    # The numbers 3 and 6 may be arrays of ones that broadcast x up.
    if x.shape is None or result.shape is None or len(x.shape) != len(result.shape):
        return no("a constant has more axes than the value", x)
    return True


HARD_SIGMOID = rule("hard_sigmoid", lambda op: _over_six(op, _clipped(op)), _sigmoid, _is_float)

HARD_SWISH = rule(
    "hard_swish",
    lambda op: any_of(
        op.Mul("x", op.HardSigmoid("x", alpha=_SIXTH, beta=0.5)),
        op.Mul("x", _over_six(op, _clipped(op))),
        _over_six(op, op.Mul("x", _clipped(op))),
        op.Mul(_over_six(op, "x"), _clipped(op)),
    ),
    _swish,
    _is_float,
)

"""Times or over a constant per channel, then convolution, Gemm or MatMul: no multiplication."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, rule
from sardonyx.compiler.rules.affine import scaling, step
from sardonyx.compiler.rules.linear import (
    any_conv,
    can_change,
    fits_input,
    fold_before,
    gemm,
    matmul,
)


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Conv(x * k, w, b) is Conv(x, w*k, b) for a factor k per input channel."""
    return fold_before(op, m, step(m))


def _can_fold(m: Match) -> bool | No:
    return can_change(m) and fits_input(m)


SCALE_CONV = rule("scale_conv", lambda op: any_conv(op, scaling(op, "x")), _fold, _can_fold)

SCALE_LINEAR = rule(
    "scale_linear",
    lambda op: any_of(gemm(op, scaling(op, "x")), matmul(op, scaling(op, "x"))),
    _fold,
    _can_fold,
)

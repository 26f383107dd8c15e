"""Convolution, Gemm or MatMul, then times or over a constant per channel: no multiplication."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, rule
from sardonyx.compiler.rules.affine import scaling, step
from sardonyx.compiler.rules.linear import (
    any_conv,
    can_change,
    fits_output,
    fold_after,
    gemm,
    matmul,
)


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Conv(x, w, b) * k is Conv(x, w*k, b*k) for a factor k per output channel."""
    return fold_after(op, m, step(m))


def _can_fold(m: Match) -> bool | No:
    return can_change(m) and fits_output(m)


CONV_SCALE = rule("conv_scale", lambda op: scaling(op, any_conv(op)), _fold, _can_fold)

LINEAR_SCALE = rule(
    "linear_scale", lambda op: scaling(op, any_of(gemm(op), matmul(op))), _fold, _can_fold
)

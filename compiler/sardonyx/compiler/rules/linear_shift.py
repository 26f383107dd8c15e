"""Convolution or Gemm, then plus or minus a constant per channel: into the bias."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, rule
from sardonyx.compiler.rules.affine import shifting, step
from sardonyx.compiler.rules.linear import any_conv, can_change, fits_output, fold_after, gemm


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Conv(x, w, b) + c is Conv(x, w, b + c) for a term c per output channel."""
    return fold_after(op, m, step(m))


def _can_fold(m: Match) -> bool | No:
    return can_change(m) and fits_output(m)


CONV_SHIFT = rule("conv_shift", lambda op: shifting(op, any_conv(op)), _fold, _can_fold)

# MatMul has no bias: a constant added to it stays, and a second one goes into the first.
GEMM_SHIFT = rule("gemm_shift", lambda op: shifting(op, gemm(op)), _fold, _can_fold)

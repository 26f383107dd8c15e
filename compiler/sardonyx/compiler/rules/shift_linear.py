"""Plus or minus a constant per channel, then convolution, Gemm or MatMul: into the bias."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, no, rule
from sardonyx.compiler.rules.affine import shifting, step
from sardonyx.compiler.rules.linear import (
    can_change,
    conv,
    fits_input,
    fold_before,
    gemm,
    is_unpadded,
)


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Conv(x + c, w, b) is Conv(x, w, b + sum of w*c) where no padding is added."""
    return fold_before(op, m, step(m))


def _can_fold(m: Match) -> bool | No:
    verdict = can_change(m) and fits_input(m)
    return verdict and (m.linear.node.op_type != "Conv" or is_unpadded(m))


def _can_fold_matmul(m: Match) -> bool | No:
    weight = m.value("weight")
    assert weight is not None
    assert weight.shape is not None
    if len(weight.shape) != 2:
        return no("the weight is a stack of matrices", weight)
    return _can_fold(m)


# A transposed convolution spreads each element: how many reach an output differs at the border.
SHIFT_CONV = rule("shift_conv", lambda op: conv(op, shifting(op, "x")), _fold, _can_fold)

SHIFT_GEMM = rule("shift_gemm", lambda op: gemm(op, shifting(op, "x")), _fold, _can_fold)

# MatMul has no bias: this pays only where a constant is added to the product anyway.
SHIFT_MATMUL = rule(
    "shift_matmul",
    lambda op: op.Add(
        op.MatMul(shifting(op, "x"), const("weight"), attributes="linear"), const("bias")
    ),
    _fold,
    _can_fold_matmul,
)

"""Batch norm, then convolution, Gemm or MatMul: the latter alone."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule
from sardonyx.compiler.rules.affine import batch_norm, is_inference, norm_affine
from sardonyx.compiler.rules.linear import (
    can_change,
    conv,
    fold_before,
    gemm,
    is_unpadded,
    matmul,
)


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Conv(BN(x)) is Conv(x, w*k) + b + sum of w*s, per input channel, BN being k*x + s."""
    return fold_before(op, m, norm_affine(m))


def _can_fold_conv(m: Match) -> bool | No:
    verdict = is_inference(m) and can_change(m)
    return verdict and (not norm_affine(m).shift.any() or is_unpadded(m))


def _can_fold_product(m: Match) -> bool | No:
    verdict = is_inference(m) and can_change(m)
    return verdict and _is_matrix(m)


def _is_matrix(m: Match) -> bool | No:
    """Only in a matrix is axis 1, batch norm's channels, the axis that a product sums over."""
    x: ir.Value = m.x
    if m.linear.node.op_type == "Gemm" and m.linear.transA:
        return no("the Gemm transposes its input", x)
    if x.shape is None or len(x.shape) != 2 or len(m.value("weight").shape) != 2:  # type: ignore[union-attr, arg-type]
        return no("the batch norm's channels are not the axis that the product sums over", x)
    return True


BATCH_NORM_CONV = rule(
    "batch_norm_conv",
    lambda op: conv(op, batch_norm(op, "x")),
    _fold,
    _can_fold_conv,
)

BATCH_NORM_GEMM = rule(
    "batch_norm_gemm",
    lambda op: gemm(op, batch_norm(op, "x")),
    _fold,
    _can_fold_product,
)

BATCH_NORM_MATMUL = rule(
    "batch_norm_matmul",
    lambda op: matmul(op, batch_norm(op, "x")),
    _fold,
    _can_fold_product,
)

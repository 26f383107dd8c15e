"""Batch norm, then convolution, Gemm or MatMul: the latter alone."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import Affine, batch_norm, is_inference, norm_affine
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


# --- with the channels and their pixels flattened between ----------------------------------------


def _flat(op: PatternBuilder) -> Pattern:
    normal = batch_norm(op, "x")
    return any_of(
        op.Flatten(normal, attributes="flat", output="flattened"),
        op.Reshape(normal, "shape", attributes="flat", output="flattened"),
    )


def _fold_flat(op: Builder, m: Match) -> ir.Value | No:
    """Gemm(Flatten(BN(x))) is Gemm(Flatten(x), w*k), k repeated for the pixels of each channel."""
    affine, pixels = norm_affine(m), math.prod(m.x.shape[2:])
    spread = Affine(np.repeat(affine.scale, pixels), np.repeat(affine.shift, pixels))
    operands = (m.x,) if m.shape is None else (m.x, m.shape)
    flat = op.call(m.flat.node.op_type, *operands, attributes=m.flat)
    return fold_before(op, Match(m.nodes, {**m.captures, "x": flat}, m.names), spread)


def _can_fold_flat(m: Match) -> bool | No:
    verdict = is_inference(m) and can_change(m)
    if not verdict:
        return verdict
    x, flat, weight = m.x, m.flattened, m.value("weight")
    if m.linear.node.op_type == "Gemm" and m.linear.transA:
        return no("the Gemm transposes its input", x)
    if x.shape is None or flat.shape is None or len(x.shape) < 3 or len(flat.shape) != 2:
        return no("it does not flatten channels and pixels into rows", flat)
    if not all(isinstance(dim, int) for dim in x.shape[1:]):
        return no("the number of pixels is not known", x)
    if flat.shape[1] != math.prod(x.shape[1:]) or len(weight.shape) != 2:  # type: ignore[union-attr, arg-type]
        return no("its rows are not the channels and pixels of one image", flat)
    return True


FLAT_BATCH_NORM_LINEAR = rule(
    "flat_batch_norm_linear",
    lambda op: any_of(gemm(op, _flat(op)), matmul(op, _flat(op))),
    _fold_flat,
    _can_fold_flat,
)

"""Convolution, then batch norm: one convolution."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, maybe, rule
from sardonyx.compiler.rules.affine import batch_norm, is_inference, norm_affine
from sardonyx.compiler.rules.linear import can_change, conv, fold_after


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Conv then BN is Conv(x, w*k) + (b-mean)*k + shift, k = scale / sqrt(var + epsilon)."""
    return fold_after(op, m, norm_affine(m))


def _can_fold(m: Match) -> bool | No:
    return is_inference(m) and can_change(m)


CONV_BATCH_NORM = rule(
    "conv_batch_norm",
    lambda op: batch_norm(op, conv(op)),
    _fold,
    _can_fold,
)

CONV_TRANSPOSE_BATCH_NORM = rule(
    "conv_transpose_batch_norm",
    lambda op: batch_norm(
        op, op.ConvTranspose("x", const("weight"), maybe(const("bias")), attributes="linear")
    ),
    _fold,
    _can_fold,
)

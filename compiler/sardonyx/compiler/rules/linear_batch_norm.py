"""Gemm or MatMul, then batch norm: the product alone."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rules.affine import batch_norm, is_inference, norm_affine
from sardonyx.compiler.rules.linear import can_change, fold_after, gemm, matmul


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """BN(x @ w + b) is x @ (w*k) + (b-mean)*k + shift, k = scale / sqrt(var + epsilon)."""
    made = fold_after(op, m, norm_affine(m))
    if isinstance(made, No) or m.order is None:
        return made
    moved: ir.Value = op.Transpose(made, attributes=m.order)
    return moved


def _fold_gemm(op: Builder, m: Match) -> ir.Value | No:
    """BN(Gemm(x, w, b)) is Gemm(x, w*k, (b-mean)*k + shift), k = scale / sqrt(var + epsilon)."""
    return fold_after(op, m, norm_affine(m))


def _can_fold(m: Match) -> bool | No:
    return is_inference(m) and can_change(m) and _is_last_axis(m)


def _is_last_axis(m: Match) -> bool | No:
    """Batch norm's channels are axis 1; those of the product are its last axis."""
    product: ir.Value = m.linear.node.outputs[0]
    if product.shape is None:
        return no("the rank of the product is not known", product)
    last = len(product.shape) - 1
    order: Sequence[int] = range(last + 1)
    if m.order is not None:
        order = m.order.perm or range(last, -1, -1)
    if order[1] == last:
        return True
    return no(f"batch norm works on axis {order[1]} of the product, its channels are axis {last}")


GEMM_BATCH_NORM = rule(
    "gemm_batch_norm",
    lambda op: batch_norm(op, gemm(op)),
    _fold_gemm,
    lambda m: is_inference(m) and can_change(m),
)

# Channels-last linear layers reach batch norm, which wants channels first, through a Transpose.
MATMUL_BATCH_NORM = rule(
    "matmul_batch_norm",
    lambda op: any_of(
        batch_norm(op, matmul(op)),
        batch_norm(op, op.Transpose(matmul(op), attributes="order")),
    ),
    _fold,
    _can_fold,
)

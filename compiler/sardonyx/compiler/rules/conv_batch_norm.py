"""Convolution, a pool or not, then batch norm: the convolution alone, then the pool."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, maybe, no, rule
from sardonyx.compiler.rules.affine import batch_norm, is_inference, norm_affine
from sardonyx.compiler.rules.linear import any_conv, can_change, conv, fold_after


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


# --- with a pool between -------------------------------------------------------------------------


def _fold_pooled(op: Builder, m: Match) -> ir.Value | No:
    """BN(Pool(Conv(x))) is Pool(BN(Conv(x))): the mean of k*x + s is k times that of x, plus s.

    So is the largest, where k is not negative.
    """
    made = fold_after(op, m, norm_affine(m))
    if isinstance(made, No):
        return made
    pooled: ir.Value = op.call(m.pool.node.op_type, made, attributes=m.pool)
    return pooled


def _can_fold_pooled(m: Match) -> bool | No:
    verdict = is_inference(m) and can_change(m)
    return verdict and _keeps_order(m) and _is_of_elements(m)


def _keeps_order(m: Match) -> bool | No:
    is_average = m.pool.node.op_type in {"AveragePool", "GlobalAveragePool"}
    if is_average or not (norm_affine(m).scale < 0).any():
        return True
    return no("a factor of the batch norm is negative, so that the largest element is another")


def _is_of_elements(m: Match) -> bool | No:
    """Each window must be of elements alone: the shift is not in the padding."""
    if m.pool.node.op_type.startswith("Global"):
        return True
    if m.pool.ceil_mode:
        return no("the pool rounds its output size up (ceil_mode)")
    is_padded = m.pool.auto_pad.startswith("SAME") or any(m.pool.pads or ())
    if not is_padded:
        return True
    if m.pool.node.op_type == "AveragePool" and m.pool.count_include_pad:
        return no("the average pool counts its padding, which the shift does not reach")
    if any(d != 1 for d in m.pool.dilations or ()):
        return no("the pool is dilated")
    window = list(m.pool.kernel_shape) * 2
    if any(p >= k for p, k in zip(m.pool.pads or (), window, strict=False)):
        return no("a window could lie in the padding alone")
    return True


_POOLS = ("AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool")

POOLED_BATCH_NORM = rule(
    "pooled_batch_norm",
    lambda op: batch_norm(op, op.call(_POOLS, any_conv(op), attributes="pool")),
    _fold_pooled,
    _can_fold_pooled,
)

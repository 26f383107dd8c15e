"""A scale or shift by constants right after a norm goes into the norm's own scale and bias."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import Vector, rounded, scaling, shifting, step

_BY_CHANNEL = ("GroupNormalization", "InstanceNormalization")


def _with_bias(op: PatternBuilder) -> Pattern:
    return any_of(
        op.LayerNormalization("x", const("scale"), maybe(const("bias")), attributes="norm"),
        op.call(_BY_CHANNEL, "x", const("scale"), const("bias"), attributes="norm"),
    )


def _without_bias(op: PatternBuilder) -> Pattern:
    return op.RMSNormalization("x", const("scale"), attributes="norm")


def _moved(op: PatternBuilder, norm: Pattern) -> Pattern:
    """Match a norm, with or without a Transpose after it."""
    return any_of(norm, op.Transpose(norm, attributes="transpose"))


def _pattern(op: PatternBuilder) -> Pattern:
    with_bias = _moved(op, _with_bias(op))
    scaled = scaling(op, any_of(with_bias, _moved(op, _without_bias(op))))
    return any_of(scaled, shifting(op, with_bias))


def _fold(op: Builder, m: Match) -> ir.Value | No:
    """Norm(x, s, b) * k + c is Norm(x, s*k, b*k + c)."""
    affine = step(m)
    k, c = _spread(m, affine.scale), _spread(m, affine.shift)
    scale = rounded(m.scale.astype(np.float64) * k, m.scale.dtype)
    before = 0.0 if m.bias is None else m.bias.astype(np.float64)
    bias = rounded(np.broadcast_to(before * k + c, m.scale.shape), m.scale.dtype)
    for folded in (scale, bias):
        if isinstance(folded, No):
            return folded
    has_bias = m.bias is not None or bool(np.any(c))
    operands = (m.x, scale, bias) if has_bias else (m.x, scale)
    made: ir.Value = op.call(m.norm.node.op_type, *operands, attributes=m.norm)
    return made if m.transpose is None else op.Transpose(made, attributes=m.transpose)


def _spread(m: Match, factors: Vector) -> Vector:
    """Shape what a constant does to broadcast over the norm's scale."""
    if factors.size == 1:
        return factors.reshape(())
    dims = m.constant.shape
    full = factors.reshape((1,) * (len(m.x.shape) - len(dims)) + dims)
    held = full if m.transpose is None else full.transpose(np.argsort(m.transpose.perm))
    first = _first_axis(m)
    return held.reshape(held.shape[first : first + m.scale.ndim])


def _first_axis(m: Match) -> int:
    """Return the first axis of the norm's result that its scale differs along."""
    is_by_channel = m.norm.node.op_type in _BY_CHANNEL
    scale = m.value("scale")
    assert scale is not None
    assert scale.shape is not None
    return 1 if is_by_channel else len(m.x.shape) - len(scale.shape)


def _can_fold(m: Match) -> bool | No:
    constant, scale = m.value("constant"), m.value("scale")
    assert constant is not None
    assert constant.shape is not None
    if m.x.shape is None:
        return no("the rank of the input is not known", m.x)
    assert scale is not None
    assert scale.shape is not None
    bias = m.value("bias")
    if bias is not None and bias.shape != scale.shape:
        return no("the norm's bias has another shape than its scale", bias)
    rank = len(m.x.shape)
    if len(constant.shape) > rank:
        return no(f"the constant has more axes than the {rank} of the norm", constant)
    dims = [1] * (rank - len(constant.shape)) + list(constant.shape.numpy())
    if m.transpose is not None:
        if not m.transpose.perm:
            return no("the Transpose after the norm has no order", m.transpose.node.outputs[0])
        dims = [dims[axis] for axis in np.argsort(m.transpose.perm)]
    lengths = dict(enumerate(scale.shape.numpy(), start=_first_axis(m)))
    if all(dim in {1, lengths.get(axis)} for axis, dim in enumerate(dims)):
        return True
    return no("the constant differs along other axes than the norm's scale does", constant)


NORM_AFFINE = rule("norm_affine", _pattern, _fold, _can_fold)

"""A linear layer over more than two dimensions is MatMul and Add, without reshapes around it."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, maybe, no, rule
from sardonyx.compiler.rules.canonical_identity import has_same_dims


def _matmul(op: Builder, m: Match) -> ir.Value:
    """Gemm on the flattened operand is MatMul on the operand as it is.

    PyTorch lowers addmm so; the reshapes cost little, but they hide the layer's operand and
    result from each other, and the shape to go back to has to be computed when the model runs.
    """
    weight = m.value("weight")
    if m.gemm.transB:
        weight = op.Transpose(weight, perm=[1, 0])
    made: ir.Value = op.MatMul(m.x, weight)
    return made if m.bias is None else op.Add(made, m.bias)


def _is_plain_linear(m: Match) -> bool | No:
    if m.gemm.transA:
        return no("it transposes its first operand")
    if m.gemm.alpha != 1.0 or (m.bias is not None and m.gemm.beta != 1.0):
        return no("it scales")
    if m.bias is not None and (m.bias.shape is None or len(m.bias.shape) > 1):
        return no("its bias is no vector", m.bias)
    return _keeps_outer_dims(m)


def _keeps_outer_dims(m: Match) -> bool | No:
    """Accept if only the last dimension differs between the operand and the result."""
    x, y, weight = m.x.shape, m.root.outputs[0].shape, m.value("weight")
    if x is None or y is None:
        return no("the rank before or after it is not known", m.x)
    if not has_same_dims(x[:-1], y[:-1]):
        return no("the dimensions before and after it differ", m.x)
    assert weight is not None
    assert weight.shape is not None  # It is a constant.
    if y[-1] != weight.shape[0 if m.gemm.transB else 1]:
        return no("its last dimension is not the one of the operand", m.x)
    return True  # As many rows as before: they are as long as before.


RULES = (
    rule(
        "linear_of_reshaped",
        lambda op: op.Reshape(
            op.Gemm(op.Reshape("x", "flat"), const("weight"), maybe("bias"), attributes="gemm"),
            "shape",
        ),
        _matmul,
        _is_plain_linear,
    ),
)

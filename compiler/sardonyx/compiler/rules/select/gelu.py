"""GELUs that take a bias or a factor, and SiLU, as one contrib operator each.

ONNX Runtime makes these fusions itself where nothing comes between: with its MatMulAddFusion on,
the sum before a GELU is part of a Gemm already, and other runtimes get one node instead of three.
"""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule

_PRECISIONS = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def _quick_gelu(op: Builder, m: Match) -> ir.Value:
    """x * Sigmoid(alpha * x) is QuickGelu(x); SiLU is the one with alpha = 1."""
    alpha = 1.0 if m.alpha is None else float(m.alpha.flat[0])
    made: ir.Value = op.call("QuickGelu", m.x, domain="com.microsoft", alpha=alpha)
    return made


def _has_one_factor(m: Match) -> bool | No:
    if m.x.dtype not in _PRECISIONS:
        return no("QuickGelu does not compute in this precision", m.x)
    alpha = m.value("alpha")
    if alpha is None:
        return True
    if m.alpha.size != 1:
        return no("the factor differs from element to element", alpha)
    if m.x.shape is None or m.alpha.ndim > len(m.x.shape):
        return no("the factor has more axes than the value", alpha)
    return True


QUICK_GELU = rule(
    "quick_gelu",
    lambda op: op.Mul("x", op.Sigmoid(any_of("x", op.Mul("x", const("alpha"))))),
    _quick_gelu,
    _has_one_factor,
)


def _bias_gelu(op: Builder, m: Match) -> ir.Value:
    """Gelu(x + bias) is BiasGelu(x, bias), or FastGelu(x, bias) if it is approximated by tanh."""
    made: ir.Value
    if m.gelu.approximate == "tanh":
        made = op.call("FastGelu", m.x, m.bias, domain="com.microsoft")
    else:
        made = op.call("BiasGelu", m.x, m.bias, domain="com.microsoft")
    return made


def _has_bias_vector(m: Match) -> bool | No:
    if m.x.dtype not in _PRECISIONS:
        return no("BiasGelu does not compute in this precision", m.x)
    if m.bias.shape is None or len(m.bias.shape) != 1:
        return no("what is added is no vector", m.bias)
    channels = m.bias.shape[0]
    has_channels = list(m.x.shape or ())[-1:] == [channels]
    return has_channels or no(
        f"the last axis is not known to have the bias's {channels} elements", m.x
    )


BIAS_GELU = rule(
    "bias_gelu",
    lambda op: op.Gelu(op.Add("x", "bias"), attributes="gelu"),
    _bias_gelu,
    _has_bias_vector,
)

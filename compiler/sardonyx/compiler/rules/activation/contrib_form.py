"""ONNX Runtime's own GELUs, as files have them that it or its tools optimised: those of ONNX."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, maybe, rule

_DOMAIN = "com.microsoft"
_ALPHA = 1.702
"""What QuickGelu multiplies by where it does not say."""


def _gelu(op: Builder, m: Match) -> ir.Value:
    """Gelu of com.microsoft is that of ONNX; BiasGelu adds to its operand before."""
    approximate = "tanh" if m.root.op_type == "FastGelu" else "none"
    x = m.x if m.bias is None else op.Add(m.x, m.bias)
    made: ir.Value = op.Gelu(x, approximate=approximate)
    return made


def _quick_gelu(op: Builder, m: Match) -> ir.Value:
    """QuickGelu(x) is x * Sigmoid(alpha * x)."""
    alpha = _ALPHA if m.gelu.alpha is None else m.gelu.alpha
    made: ir.Value = op.Mul(m.x, op.Sigmoid(m.x if alpha == 1 else op.Mul(m.x, alpha)))
    return made


STANDARD_GELU = rule(
    "standard_gelu",
    lambda op: op.call(("Gelu", "BiasGelu", "FastGelu"), "x", maybe("bias"), domain=_DOMAIN),
    _gelu,
)

STANDARD_QUICK_GELU = rule(
    "standard_quick_gelu",
    lambda op: op.call("QuickGelu", "x", domain=_DOMAIN, attributes="gelu"),
    _quick_gelu,
)

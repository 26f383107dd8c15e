"""GELU in the spelling that ONNX Runtime's own GELU fusions look for."""

from __future__ import annotations

import math

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, rule


def _erf_or_tanh(op: Builder, m: Match) -> ir.Value:
    """Gelu(x) is 0.5 x (1 + erf(x / sqrt 2)), or with the tanh of a cubic."""
    made: ir.Value
    if m.gelu.approximate == "tanh":
        cubic = op.Add(m.x, op.Mul(op.Pow(m.x, 3.0), 0.044715))
        wave = op.Tanh(op.Mul(cubic, math.sqrt(2 / math.pi)))
        made = op.Mul(op.Mul(m.x, 0.5), op.Add(wave, 1.0))
    else:
        wave = op.Erf(op.Div(m.x, math.sqrt(2)))
        made = op.Mul(op.Mul(m.x, op.Add(wave, 1.0)), 0.5)
    return made


GELU = rule("gelu_by_erf_or_tanh", lambda op: op.Gelu("x", attributes="gelu"), _erf_or_tanh)

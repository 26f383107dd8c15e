"""Sigmoid and SiLU from the exponential function."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, any_of, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.activation.spelling import maps_floats, negative


def _denominator(op: PatternBuilder) -> Pattern:
    return op.Add(op.Exp(negative(op, "x")), 1)


def _sigmoid(op: Builder, m: Match) -> ir.Value:
    """1 / (1 + exp(-x)) is Sigmoid(x)."""
    made: ir.Value = op.Sigmoid(m.x)
    return made


def _silu(op: Builder, m: Match) -> ir.Value:
    """x / (1 + exp(-x)) is x * Sigmoid(x)."""
    made: ir.Value = op.Mul(m.x, op.Sigmoid(m.x))
    return made


SIGMOID = rule(
    "sigmoid",
    lambda op: any_of(op.Reciprocal(_denominator(op)), op.Div(1, _denominator(op))),
    _sigmoid,
    maps_floats,
)

SILU = rule("silu", lambda op: op.Div("x", _denominator(op)), _silu, maps_floats)

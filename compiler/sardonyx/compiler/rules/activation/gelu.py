"""GELU from its parts: by the error function, and by the hyperbolic tangent that is close to it."""

from __future__ import annotations

import math

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, about, any_of, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.activation.spelling import cube, has_kernel, product, square

_ROOT_TWO = math.sqrt(2)
_ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _error_function(op: PatternBuilder) -> Pattern:
    return op.Erf(any_of(op.Div("x", about(_ROOT_TWO)), op.Mul("x", about(1 / _ROOT_TWO))))


def _tangent(op: PatternBuilder) -> Pattern:
    """Match tanh(sqrt(2/pi) * (x + 0.044715 * x**3)), the cube in all its orders of factors."""
    k, root = about(_CUBIC), about(_ROOT_TWO_OVER_PI)
    even = any_of(op.Mul(square(op, "x"), k), op.Mul("x", op.Mul("x", k)))
    odd = any_of(
        op.Mul(cube(op, "x"), k),
        op.Mul(square(op, "x"), op.Mul("x", k)),
        op.Mul("x", even),
    )
    return op.Tanh(any_of(op.Mul(op.Add("x", odd), root), product(op, "x", op.Add(even, 1), root)))


def _exact(op: Builder, m: Match) -> ir.Value:
    """x/2 * (1 + erf(x / sqrt(2))) is Gelu(x)."""
    made: ir.Value = op.Gelu(m.x)
    return made


def _approximate(op: Builder, m: Match) -> ir.Value:
    """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3))) is Gelu(x), approximated by tanh."""
    made: ir.Value = op.Gelu(m.x, approximate="tanh")
    return made


GELU = rule(
    "gelu",
    lambda op: product(op, "x", 0.5, op.Add(_error_function(op), 1)),
    _exact,
    has_kernel,
)

GELU_TANH = rule(
    "gelu_tanh",
    lambda op: product(op, "x", 0.5, op.Add(_tangent(op), 1)),
    _approximate,
    has_kernel,
)

"""One spelling for arithmetic with constants; every rewrite here is exact."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, const, no, rest, rule


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f"


def _multiply(op: Builder, m: Match) -> ir.Value:
    """Division by powers of two is multiplication by their reciprocals."""
    made: ir.Value = op.Mul(m.x, (1 / m.c).astype(m.c.dtype))
    return made


def _has_exact_reciprocal(m: Match) -> bool | No:
    mantissa, _ = np.frexp(m.c)
    with np.errstate(all="ignore"):
        reciprocal = 1 / m.c
    is_power = np.all(np.abs(mantissa) == 0.5) and np.all(np.isfinite(reciprocal))
    is_normal = is_power and np.all(np.abs(reciprocal) >= np.finfo(m.c.dtype).tiny)
    return bool(is_normal) or no("a divisor is not a power of two")


def _add(op: Builder, m: Match) -> ir.Value:
    """Subtraction of a constant is addition of its negative."""
    made: ir.Value = op.Add(m.x, -m.c)
    return made


def _binary(op: Builder, m: Match) -> ir.Value:
    """A Sum of two is an Add."""
    made: ir.Value = op.Add(*m.terms)
    return made


def _has_two_terms(m: Match) -> bool | No:
    return len(m.terms) == 2 or no(f"it has {len(m.terms)} operands")


RULES = (
    rule(
        "divide_by_power_of_two",
        lambda op: op.Div("x", const("c", _is_float, "a float constant")),
        _multiply,
        _has_exact_reciprocal,
    ),
    rule(
        "subtract_constant",
        lambda op: op.Sub("x", const("c", _is_float, "a float constant")),
        _add,
    ),
    rule("sum_of_two", lambda op: op.Sum(rest("terms")), _binary, _has_two_terms),
)

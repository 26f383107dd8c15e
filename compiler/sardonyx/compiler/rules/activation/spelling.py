"""What the spellings of activation functions have in common."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from sardonyx.compiler.rewrite import Match, No, any_of, no
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import FLOATS


def product(op: PatternBuilder, a: object, b: object, c: object) -> Pattern:
    """Match the product of three factors, whichever two of them are multiplied first."""
    return any_of(
        op.Mul(a, op.Mul(b, c)),
        op.Mul(b, op.Mul(a, c)),
        op.Mul(c, op.Mul(a, b)),
    )


def square(op: PatternBuilder, x: str) -> Pattern:
    """Match the second power of a value."""
    return any_of(op.Mul(x, x), op.Pow(x, 2))


def cube(op: PatternBuilder, x: str) -> Pattern:
    """Match the third power of a value."""
    return any_of(op.Pow(x, 3), op.Mul(x, square(op, x)))


def negative(op: PatternBuilder, x: object) -> Pattern:
    """Match the negative of a value."""
    return any_of(op.Neg(x), op.Mul(x, -1))


def maps_floats(m: Match) -> bool | No:
    """Demand that the match computes, for each float of "x", one of its result."""
    x, result = m.x, m.root.outputs[0]
    if x.dtype not in FLOATS:
        return no("it does not compute in floats", x)
    if x.shape is None or result.shape is None:
        return no("the rank is not known", x if x.shape is None else result)
    # Its numbers may be arrays whose elements are all equal, which broadcast x up.
    if len(x.shape) != len(result.shape):
        return no("a constant has more axes than the value", x)
    if any(d != 1 for d in _grown(x.shape, result.shape)):
        return no("a constant is longer than the value", x)
    return True


def has_kernel(m: Match) -> bool | No:
    """Demand floats of a precision in which ONNX Runtime has kernels of activation functions.

    Most are for float32 (and float16, by casts) only, while what they are made of has kernels for
    double precision too.
    """
    if m.x.dtype == ir.DataType.DOUBLE:
        return no("ONNX Runtime has no kernel of it in double precision", m.x)
    return maps_floats(m)


def _grown(before: Iterable[object], after: Iterable[object]) -> Iterable[object]:
    return (b for a, b in zip(before, after, strict=True) if a != b)

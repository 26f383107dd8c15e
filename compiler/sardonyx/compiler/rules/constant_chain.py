"""Two additions, or two multiplications, of constants in a row: one.

For floats this changes the rounding; for integers, which wrap, it is exact.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rewrite.pattern import Operator, Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import FLOATS


def _with_constant(op: PatternBuilder, op_type: str, x: Pattern | str, name: str) -> Operator:
    return op.call(op_type, x, const(name), attributes=f"{name}_step")


def _chain(op: PatternBuilder, op_types: tuple[str, str]) -> Pattern:
    """Match two steps, each of one of two operators, whose second operand is a constant."""
    inner = any_of(*(_with_constant(op, op_type, "x", "first") for op_type in op_types))
    return any_of(*(_with_constant(op, op_type, inner, "second") for op_type in op_types))


def _is_small(m: Match) -> bool | No:
    """Refuse constants whose combination is larger than either."""
    shapes = [m.value(name).shape.numpy() for name in ("first", "second")]  # type: ignore[union-attr]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if int(np.prod(np.broadcast_shapes(*shapes))) > max(sizes):
        return no("the two constants together are larger than each", m.value("second"))
    return True


def _is_of_floats(m: Match) -> bool:
    """Ask the constants: of what is computed from a value that nobody knows they alone tell."""
    first = m.value("first")
    return first is not None and first.dtype in FLOATS


# --- multiplication ------------------------------------------------------------------------------


def _scale(op: Builder, m: Match) -> ir.Value | No:
    """x * c1 * c2 is x * (c1*c2)."""
    if not _is_of_floats(m):
        with np.errstate(over="ignore"):
            return op.Mul(m.x, m.first * m.second)  # type: ignore[no-any-return]
    with np.errstate(all="ignore"):
        first, second = (_factor(m, name) for name in ("first", "second"))
        factor = (first * second).astype(m.first.dtype)
    tiny = float(ml_dtypes.finfo(m.first.dtype).tiny)  # type: ignore[no-untyped-call]
    lost = ~np.isfinite(factor) | ((np.abs(factor) < tiny) & (first != 0) & (second != 0))
    if lost.any():
        return no("the product of the constants is too large or too small for their dtype")
    return op.Mul(m.x, factor)  # type: ignore[no-any-return]


def _factor(m: Match, name: str) -> Array:
    array: Array = getattr(m, name).astype(np.float64)
    is_division = getattr(m, f"{name}_step").node.op_type == "Div"
    return 1 / array if is_division else array


def _can_scale(m: Match) -> bool | No:
    divides = "Div" in {m.first_step.node.op_type, m.second_step.node.op_type}
    if divides and not _is_of_floats(m):
        return no("the division of integers rounds", m.x)
    return _is_small(m)


# --- addition ------------------------------------------------------------------------------------


def _shift(op: Builder, m: Match) -> ir.Value | No:
    """x + c1 + c2 is x + (c1+c2)."""
    if not _is_of_floats(m):
        with np.errstate(over="ignore"):
            term = _signed(m, "first") + _signed(m, "second")
        return op.Add(m.x, term)  # type: ignore[no-any-return]
    first, second = (_signed(m, name).astype(np.float64) for name in ("first", "second"))
    term = first + second
    larger = np.maximum(np.abs(first), np.abs(second))
    if ((np.abs(term) < larger / 2) & (larger >= _rounding(m.first.dtype))).any():
        return no("the constants cancel: adding and subtracting them may round on purpose")
    with np.errstate(over="ignore"):
        term = term.astype(m.first.dtype)
    if not np.isfinite(term).all():
        return no("the sum of the constants is too large for their dtype")
    return op.Add(m.x, term)  # type: ignore[no-any-return]


def _rounding(dtype: np.dtype[np.generic]) -> float:
    """Return the least number whose addition and subtraction takes half of the digits away."""
    bits = int(ml_dtypes.finfo(dtype).nmant)  # type: ignore[no-untyped-call]
    return float(2.0 ** (bits // 2))


def _signed(m: Match, name: str) -> Array:
    array: Array = getattr(m, name)
    return np.negative(array) if getattr(m, f"{name}_step").node.op_type == "Sub" else array


SCALE_SCALE = rule("scale_scale", lambda op: _chain(op, ("Mul", "Div")), _scale, _can_scale)

SHIFT_SHIFT = rule("shift_shift", lambda op: _chain(op, ("Add", "Sub")), _shift, _is_small)

"""Arithmetic, comparison and logic, with the meaning that numpy gives to the operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sardonyx.frontends.dsl import check, operands, shapes, sizes
from sardonyx.frontends.dsl.dims import Dim
from sardonyx.frontends.dsl.dtypes import bool_
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.symbol import (
    RawDim,
    describe,
    describe_all,
    is_tensor,
    require_tensor,
)
from sardonyx.frontends.dsl.trace import current

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor

Operand = Any
"""A tensor, a Python number (which takes the tensor's dtype), an array or a size."""


def add(a: Operand, b: Operand) -> Tensor:
    """Return `a + b`, broadcast."""
    return _binary("Add", a, b)


def sub(a: Operand, b: Operand) -> Tensor:
    """Return `a - b`, broadcast."""
    return _binary("Sub", a, b)


def mul(a: Operand, b: Operand) -> Tensor:
    """Return `a * b`, broadcast."""
    return _binary("Mul", a, b)


def divide(a: Operand, b: Operand) -> Tensor:
    """Return `a / b` of floats, broadcast.

    Raises:
        DslError: The operands are integers, whose quotient has another dtype.
    """
    kind = _first(a, b).dtype
    if not kind.is_float:
        raise DslError(
            f"/ does not divide tensors of dtype {kind}.",
            found=describe_all(a, b),
            expected="float tensors",
            remedy="use // for whole numbers, or cast first: x.cast(dsl.f32) / y",
        )
    return _binary("Div", a, b)


def floor_divide(a: Operand, b: Operand) -> Tensor:
    """Return `a // b`, rounded down as Python and numpy do."""
    x, y = _pair(a, b)
    if x.dtype.is_int and not x.dtype.is_signed:
        return emit("Div", x, y)
    exact = emit("Div", sub(x, mod(x, y)), y)
    return emit("Round", exact) if x.dtype.is_float else exact


def mod(a: Operand, b: Operand) -> Tensor:
    """Return `a % b`, which has the sign of `b` as in Python and numpy."""
    x, y = _pair(a, b)
    if not x.dtype.is_float:
        return emit("Mod", x, y)
    rest = emit("Mod", x, y, fmod=1)
    is_other_side = not_equal(less(rest, 0), less(y, 0))
    wraps = emit("And", is_other_side, not_equal(rest, 0))
    return emit("Where", wraps, add(rest, y), rest)


def power(a: Operand, b: Operand) -> Tensor:
    """Return `a ** b`, broadcast; both operands have one dtype.

    Raises:
        DslError: The dtypes differ, or an integer would get a negative or broken exponent.
    """
    base = _first(a, b)
    if not is_tensor(b):
        exponent = operands.to_array(b, base)
        if base.dtype.is_int and exponent.size and exponent.min() < 0:
            raise DslError(
                "An integer has no negative power.",
                found=f"{describe(a)} ** {b!r}",
                expected="an exponent of 0 or more",
                remedy="cast it first: x.cast(dsl.f32)",
            )
        return emit("Pow", a, exponent)
    if is_tensor(a) and a.dtype != b.dtype:
        raise DslError(
            "A power needs operands of one dtype.",
            found=f"{describe(a)} ** {describe(b)}",
            expected="the same dtype for both",
            remedy=f"convert one: x.cast(dsl.{a.dtype})",
        )
    return emit("Pow", a if is_tensor(a) else operands.to_array(a, b), b)


def equal(a: Operand, b: Operand) -> Tensor:
    """Return `a == b`, a bool tensor."""
    return _binary("Equal", a, b)


def not_equal(a: Operand, b: Operand) -> Tensor:
    """Return `a != b`, a bool tensor."""
    return emit("Not", _binary("Equal", a, b))


def less(a: Operand, b: Operand) -> Tensor:
    """Return `a < b`, a bool tensor."""
    return _binary("Less", a, b)


def less_equal(a: Operand, b: Operand) -> Tensor:
    """Return `a <= b`, a bool tensor."""
    return _binary("LessOrEqual", a, b)


def greater(a: Operand, b: Operand) -> Tensor:
    """Return `a > b`, a bool tensor."""
    return _binary("Greater", a, b)


def greater_equal(a: Operand, b: Operand) -> Tensor:
    """Return `a >= b`, a bool tensor."""
    return _binary("GreaterOrEqual", a, b)


def both(a: Operand, b: Operand) -> Tensor:
    """Return `a & b`: logical for bool tensors, bit by bit for integers."""
    return _logical("And", a, b)


def either(a: Operand, b: Operand) -> Tensor:
    """Return `a | b`: logical for bool tensors, bit by bit for integers."""
    return _logical("Or", a, b)


def one_of(a: Operand, b: Operand) -> Tensor:
    """Return `a ^ b`: logical for bool tensors, bit by bit for integers."""
    return _logical("Xor", a, b)


def shift(x: Tensor, places: Operand, *, left: bool) -> Tensor:
    """Return `x << places` or `x >> places` of integers.

    Raises:
        DslError: x is not of integers; or it is signed, and `places` no int of 0 to 62.
    """
    require_tensor(x)
    if x.dtype.is_int and not x.dtype.is_signed:
        return emit("BitShift", x, _matched(places, x), direction="LEFT" if left else "RIGHT")
    if not x.dtype.is_int or not isinstance(places, int) or not 0 <= places <= 62:
        raise DslError(
            "A shift is of whole numbers, of signed ones by a fixed number of places.",
            found=f"{describe(x)} by {describe(places)}",
            expected="an integer tensor, and an int of 0 to 62",
            remedy="cast to an unsigned dtype first: x.cast(dsl.u32)",
        )
    return mul(x, 2**places) if left else floor_divide(x, 2**places)


def invert(x: Tensor) -> Tensor:
    """Return `~x`: logical for bool tensors, bit by bit for integers."""
    return emit("Not" if x.dtype == bool_ else "BitwiseNot", x)


def matmul(a: Operand, b: Operand) -> Tensor:
    """Return the matrix product `a @ b` over the last two axes, the others broadcast.

    Raises:
        DslError: The inner sizes differ, the outer ones do not broadcast, or one is a scalar.
    """
    trace = current()
    left, right = _as_tensor(a), _as_tensor(b)
    if not left.rank or not right.rank:
        raise DslError(
            "A scalar has no matrix product.",
            found=describe_all(left, right),
            expected="operands of one axis or more",
            remedy="use *",
        )
    inner = left.dims[-1], right.dims[-2 if right.rank > 1 else 0]
    if sizes.differ(*inner, trace.declared):
        raise DslError(
            "The inner sizes of a matrix product differ.",
            found=f"{describe(left)} @ {describe(right)}: {inner[0]} and {inner[1]}",
            expected="last size of the left operand = last but one of the right one",
            remedy="transpose an operand, as in x @ w.transpose(), or correct its shape",
        )
    outer = check.broadcast_dims(
        trace,
        [left.dims[:-2], right.dims[:-2]],
        "The outer sizes of a matrix product do not broadcast.",
        [left.value, right.value],
    )
    rows: list[RawDim] = [left.dims[-2]] if left.rank > 1 else []
    columns: list[RawDim] = [right.dims[-1]] if right.rank > 1 else []
    return emit("MatMul", left, right, dims=[*outer, *rows, *columns])


def where(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    """Return `a` where the bool tensor `condition` holds and `b` elsewhere, broadcast."""
    kind = next(filter(is_tensor, (a, b)), None)
    return emit("Where", condition, _matched(a, kind), _matched(b, kind))


def minimum(a: Operand, b: Operand) -> Tensor:
    """Return the smaller one of each pair of elements."""
    return _binary("Min", a, b)


def maximum(a: Operand, b: Operand) -> Tensor:
    """Return the larger one of each pair of elements."""
    return _binary("Max", a, b)


def _binary(op_type: str, a: Operand, b: Operand, **attributes: Any) -> Tensor:
    like = a if is_tensor(a) else b if is_tensor(b) else None
    return emit(op_type, _matched(a, like), _matched(b, like), **attributes)


def _logical(op_type: str, a: Operand, b: Operand) -> Tensor:
    kind = _first(a, b).dtype
    return _binary(op_type if kind == bool_ else f"Bitwise{op_type}", a, b)


def _first(a: Operand, b: Operand) -> Tensor:
    """Return the operand that numbers take their dtype of."""
    return a if is_tensor(a) else b if is_tensor(b) else _as_tensor(a)


def _pair(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Return both operands as tensors, numbers in the dtype of the other one."""
    like = _first(a, b)
    x, y = (
        m if is_tensor(m) else shapes.constant(operands.to_array(m, like))
        for m in (_matched(a, like), _matched(b, like))
    )
    return x, y


def _matched(operand: Operand, like: Tensor | None) -> Operand:
    """Return a size as a tensor of the dtype of the other operand; others as they are."""
    if not isinstance(operand, Dim):
        return operand
    number = shapes.scalar(operand)
    return number if like is None else number.cast(like.dtype)


def _as_tensor(operand: Operand) -> Tensor:
    if is_tensor(operand):
        return operand
    if isinstance(operand, Dim):
        return shapes.scalar(operand)
    return shapes.tensor_of(operand)

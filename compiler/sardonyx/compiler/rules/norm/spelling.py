"""How exporters write what norms are made of: means, squares, a division by a root.

`x / sqrt(v)` comes as a division, as a product with a reciprocal of the root, or with a negative
power. Equal subexpressions are one value already when these patterns are used.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, no
from sardonyx.compiler.rewrite.pattern import Operator, Pattern, PatternBuilder

NORMED = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
"""What norms are for: their statistics are in single precision at most, as ONNX defines them."""


def square(op: PatternBuilder, x: str) -> Pattern:
    """Match the square of a value that is captured already."""
    return any_of(op.Pow(x, 2), op.Mul(x, x))


def mean(
    op: PatternBuilder, x: Pattern | str, axes: str | None, output: str | None = None
) -> Operator:
    """Match the mean over some axes, which stay with length 1."""
    return op.ReduceMean(x, const(axes), keepdims=1, output=output)


def inverse_root(op: PatternBuilder, variance: Pattern, output: str | None = None) -> Pattern:
    """Match one over a square root."""
    root = root_of(op, variance)
    return any_of(
        op.Reciprocal(root, output=output),
        op.Div(1, root, output=output),
        op.Pow(variance, -0.5, output=output),
    )


def root_of(op: PatternBuilder, variance: Pattern, output: str | None = None) -> Pattern:
    """Match a square root."""
    return any_of(op.Sqrt(variance, output=output), op.Pow(variance, 0.5, output=output))


def stabilised(op: PatternBuilder, squares: Pattern) -> Pattern:
    """Match `squares + epsilon`, with epsilon and what the squares are multiplied by as captures.

    A variance of n elements that is divided by n - 1 is n / (n - 1) times their mean of squares.
    """
    scaled = any_of(squares, op.Mul(squares, const("unbiased")), op.Div(squares, const("biased")))
    return op.Add(scaled, const("epsilon"))


def over_root(op: PatternBuilder, x: Pattern | str, squares: Pattern) -> Pattern:
    """Match `x / sqrt(squares + epsilon)`, with the captures of `stabilised`."""
    variance = stabilised(op, squares)
    return any_of(
        op.Mul(x, inverse_root(op, variance)),
        op.Div(x, root_of(op, variance)),
    )


def over_root_and_epsilon(op: PatternBuilder, squares: Pattern) -> Pattern:
    """Match what is divided by `sqrt(squares) + late`: no norm, but one that says why."""
    scaled = any_of(squares, op.Mul(squares, const("unbiased")), op.Div(squares, const("biased")))
    return op.Div("any", op.Add(root_of(op, scaled), const("late")))


# --- what a match says ---------------------------------------------------------------------------


def is_number(m: Match) -> bool | No:
    """Demand that epsilon is one positive number, and so is what the variance is multiplied by."""
    if m.late is not None:
        return no("epsilon is added to the root, not to the variance under it", m.value("late"))
    epsilon = m.epsilon
    if not 0 < correction(m) < math.inf:
        return no("the variance is multiplied by what is not one positive number")
    if epsilon.size != 1:
        return no("epsilon is not one number", m.value("epsilon"))
    return float(epsilon.item()) > 0 or no(f"epsilon is {epsilon.item():g}, not positive")


def correction(m: Match) -> float:
    """Return what the mean of squares is multiplied by; not a number if that is not known."""
    for factor, is_divisor in ((m.unbiased, False), (m.biased, True)):
        if factor is not None:
            if factor.size != 1 or not factor.item():
                return math.nan
            return 1 / float(factor.item()) if is_divisor else float(factor.item())
    return 1.0


def reduced(x: ir.Value, axes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[int] | No:
    """Return the axes of a mean in order, counted from the front."""
    if x.shape is None:
        return no("the rank of the input is not known", x)
    return sorted({int(axis) % len(x.shape) for axis in axes.flat})


def can_normalize(x: ir.Value, axes: list[int] | No) -> bool | No:
    """Demand that a norm over these axes can be one operator: its scale has their lengths."""
    if isinstance(axes, No):
        return axes
    if x.dtype not in NORMED:
        return no("norms keep their statistics in single precision", x)
    if not axes:
        return no("the mean is over no axis")
    assert x.shape is not None
    if not all(isinstance(x.shape[axis], int) for axis in axes):
        return no("the length of a normalised axis is not known", x)
    return True


def ones(
    x: ir.Value, axes: list[int], by: float = 1.0
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Return the scale that changes nothing, multiplied by a number."""
    assert x.shape is not None
    assert x.dtype is not None
    lengths = [x.shape[axis] for axis in axes]
    return np.full([n for n in lengths if isinstance(n, int)], by, x.dtype.numpy())


def over_last_axes(op: Builder, x: ir.Value, axes: list[int]) -> tuple[ir.Value, list[int]]:
    """Return the value with `axes` moved to the end, and the order of axes that moves them back.

    The order is empty where they are the last ones already.
    """
    assert x.shape is not None
    rank = len(x.shape)
    if axes == list(range(rank - len(axes), rank)):
        return x, []
    order = [axis for axis in range(rank) if axis not in axes] + axes
    moved: ir.Value = op.Transpose(x, perm=order)
    return moved, [order.index(axis) for axis in range(rank)]

"""Scaling and shifting by constants, as vectors over the channels of a value.

Folded constants are computed in double precision and rounded once, to the dtype of the constant
they replace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, const, no
from sardonyx.compiler.rewrite.pattern import Operator, Pattern, PatternBuilder, any_of

Vector = npt.NDArray[np.float64]

FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


@dataclass(frozen=True)
class Affine:
    """`scale * x + shift`; each is one number or one per channel, as a vector."""

    scale: Vector
    shift: Vector


def vector(array: Array) -> Vector:
    """Return the elements of a constant in double precision."""
    flat: Vector = array.astype(np.float64).ravel()
    return flat


def rounded(exact: Vector, dtype: np.dtype[np.generic]) -> Array | No:
    """Round to a dtype; refuse where the result is not finite."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        array: Array = exact.astype(dtype)
    if np.isfinite(array).all():
        return array
    return no(f"the folded constant has elements that {dtype} cannot hold")


def is_float(value: ir.Value) -> bool | No:
    """Accept floats only: integers wrap and divide in another way."""
    return value.dtype in FLOATS or no("it does not compute in floats", value)


# --- one constant ----------------------------------------------------------------------------

ONE, ZERO = np.ones(1), np.zeros(1)

# The second part of the key: whether the constant is the first operand.
_STEPS: dict[tuple[str, bool], Callable[[Vector], Affine]] = {
    ("Mul", False): lambda c: Affine(c, ZERO),
    ("Mul", True): lambda c: Affine(c, ZERO),
    ("Div", False): lambda c: Affine(1 / c, ZERO),
    ("Add", False): lambda c: Affine(ONE, c),
    ("Add", True): lambda c: Affine(ONE, c),
    ("Sub", False): lambda c: Affine(ONE, -c),
    ("Sub", True): lambda c: Affine(-ONE, c),
}


def scaling(op: PatternBuilder, inner: Operator | Pattern | str) -> Pattern:
    """Match `inner` times or over a constant, as captures "constant" and "step"."""
    return any_of(
        op.Mul(inner, const("constant"), attributes="step"),
        op.Div(inner, const("constant"), attributes="step"),
    )


def shifting(op: PatternBuilder, inner: Operator | Pattern | str) -> Pattern:
    """Match `inner` plus or minus a constant, or a constant minus `inner`."""
    return any_of(
        op.Add(inner, const("constant"), attributes="step"),
        op.Sub(inner, const("constant"), attributes="step"),
        op.Sub(const("constant"), inner, attributes="step"),
    )


def step(match: Match) -> Affine:
    """Return what `scaling` or `shifting` matched; a zero divisor gives infinite factors."""
    node = match.step.node
    is_first = node.inputs[0] is match.value("constant")
    with np.errstate(divide="ignore"):
        return _STEPS[node.op_type, is_first](vector(match.constant))


def is_per_channel(constant: ir.Value, rank: int, axis: int, channels: int) -> bool | No:
    """Demand that a constant, combined with a value, differs along the channel axis at most.

    Args:
        constant: The constant.
        rank: Number of axes of the value it is combined with.
        axis: Axis of the value's channels.
        channels: How many channels the value has.
    """
    assert constant.shape is not None
    dims = constant.shape.numpy()
    if len(dims) > rank:
        return no(f"the constant has more axes than the {rank} of what it is applied to", constant)
    for index, dim in enumerate(dims, start=rank - len(dims)):
        if index != axis and dim != 1:
            return no(
                f"the constant differs along axis {index}, channels are axis {axis}", constant
            )
        if index == axis and dim not in (1, channels):
            return no(f"the constant has {dim} channels, the value has {channels}", constant)
    return True


# --- batch norm ------------------------------------------------------------------------------


def batch_norm(op: PatternBuilder, inner: Operator | Pattern | str) -> Operator:
    """Match an inference batch norm of `inner`, as captures scale, shift, mean, var and norm."""
    return op.BatchNormalization(
        inner, const("scale"), const("shift"), const("mean"), const("var"), attributes="norm"
    )


def is_inference(match: Match) -> bool | No:
    """Refuse a batch norm that computes statistics of its batch."""
    return match.norm.training_mode == 0 or no("the batch norm is in training mode")


def norm_affine(match: Match) -> Affine:
    """Return the scale and shift that a batch norm applies to each channel."""
    variance = vector(match.var) + float(match.norm.epsilon)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = vector(match.scale) / np.sqrt(variance)
        return Affine(scale, vector(match.shift) - vector(match.mean) * scale)

"""The operators that are linear in their input, and where their weights keep the channels.

Conv, ConvTranspose, Gemm and MatMul by a constant are `sum of weight * x, plus bias`. A scale or
shift per channel of their output, and of their input, goes into weight and bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.affine import Affine, Vector, is_per_channel, rounded, vector

_LARGE = 16 * 2**20
_AT_ONCE = 2**20
"""Elements that are widened to double precision at a time."""


def conv(op: PatternBuilder, x: Pattern | str = "x") -> Pattern:
    """Match a convolution of `x` with constant weights."""
    return op.Conv(x, const("weight"), maybe(const("bias")), attributes="linear")


def any_conv(op: PatternBuilder, x: Pattern | str = "x") -> Pattern:
    """Match a convolution or transposed convolution of `x` with constant weights."""
    both = ("Conv", "ConvTranspose")
    return op.call(both, x, const("weight"), maybe(const("bias")), attributes="linear")


def gemm(op: PatternBuilder, x: Pattern | str = "x") -> Pattern:
    """Match a Gemm of `x` with constant weights."""
    return op.Gemm(x, const("weight"), maybe(const("bias")), attributes="linear")


def matmul(op: PatternBuilder, x: Pattern | str = "x") -> Pattern:
    """Match the product of `x` with a constant on its right, with or without a constant added."""
    product = op.MatMul(x, const("weight"), attributes="linear")
    return any_of(op.Add(product, const("bias"), attributes="plus"), product)


@dataclass(frozen=True)
class Layout:
    """A weight seen as [groups, rows, columns, elements].

    Attributes:
        shape: That shape.
        groups: How many groups the channels are divided into.
        output: The axis, 1 or 2, of the output channels; the other one has the input channels.
    """

    shape: tuple[int, int, int, int]
    groups: int
    output: int

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return self.groups * self.shape[self.output]

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return self.groups * self.shape[3 - self.output]

    def spread(self, channels: Vector, axis: int) -> Vector:
        """Shape one number, or one per channel of an axis, to broadcast over the weight."""
        if channels.size == 1:
            return channels.reshape(1, 1, 1, 1)
        shape = [self.groups, 1, 1, 1]
        shape[axis] = self.shape[axis]
        return channels.reshape(shape)


def layout(match: Match) -> Layout:
    """Return how the weight of the matched operator is laid out; reads its shape only."""
    node, weight = match.linear.node, match.value("weight")
    assert weight is not None
    assert weight.shape is not None
    return _LAYOUTS[node.op_type](match, weight.shape.numpy())


def _conv_layout(match: Match, shape: tuple[int, ...]) -> Layout:
    groups = match.linear.group
    inner = math.prod(shape[2:])
    return Layout((groups, shape[0] // groups, shape[1], inner), groups, 1)


def _conv_transpose_layout(match: Match, shape: tuple[int, ...]) -> Layout:
    groups = match.linear.group
    inner = math.prod(shape[2:])
    return Layout((groups, shape[0] // groups, shape[1], inner), groups, 2)


def _gemm_layout(match: Match, shape: tuple[int, ...]) -> Layout:
    return Layout((1, shape[0], shape[1], 1), 1, 1 if match.linear.transB else 2)


def _matmul_layout(match: Match, shape: tuple[int, ...]) -> Layout:
    batch = math.prod(shape[:-2])
    return Layout((batch, shape[-2], shape[-1], 1), 1, 2)


_LAYOUTS = {
    "Conv": _conv_layout,
    "ConvTranspose": _conv_transpose_layout,
    "Gemm": _gemm_layout,
    "MatMul": _matmul_layout,
}


# --- guards, which read shapes only --------------------------------------------------------------


def can_change(match: Match) -> bool | No:
    """Demand that weight and bias can be replaced by changed ones."""
    weight, node = match.value("weight"), match.linear.node
    assert weight is not None
    assert weight.shape is not None
    assert weight.dtype is not None
    if not weight.dtype.is_floating_point():
        return no("it does not compute in floats", weight)
    if node.op_type == "MatMul" and len(weight.shape) < 2:
        return no("the weight is a vector, so that the product has no output channels", weight)
    held = constants.tensor(weight)
    assert held is not None
    if held.nbytes > _LARGE and len(weight.uses()) > 1:
        return no(f"others read the weight too, a copy would take {held.nbytes >> 20} MB", weight)
    return _is_bias_vector(match)


def _is_bias_vector(match: Match) -> bool | No:
    bias, node = match.value("bias"), match.linear.node
    if bias is None or node.op_type in ("Conv", "ConvTranspose"):
        return True
    rank = _rank(node.outputs[0])
    if rank is None:
        return no("the rank of the product is not known", node.outputs[0])
    return is_per_channel(bias, rank, rank - 1, layout(match).outputs)


def fits_output(match: Match) -> bool | No:
    """Demand that the captured "constant" differs along the operator's output channels at most."""
    node, constant = match.linear.node, match.value("constant")
    rank = _rank(node.outputs[0])
    assert constant is not None
    if rank is None:
        return no("the rank of the result is not known", node.outputs[0])
    is_conv = node.op_type in ("Conv", "ConvTranspose")
    return is_per_channel(constant, rank, 1 if is_conv else rank - 1, layout(match).outputs)


def fits_input(match: Match) -> bool | No:
    """Demand that the captured "constant" differs along the operator's input channels at most.

    The value "x" that it is combined with must have these channels itself.
    """
    node, constant = match.linear.node, match.value("constant")
    assert constant is not None
    if node.op_type == "Gemm" and match.linear.transA:
        return no("the Gemm transposes its input", node.outputs[0])
    x: ir.Value = match.x
    channels = layout(match).inputs
    if x.shape is None:
        return no("the rank of the input is not known", x)
    rank = len(x.shape)
    axis = 1 if node.op_type in ("Conv", "ConvTranspose") else rank - 1
    if rank != _rank(match.step.node.outputs[0]):
        return no("the constant has more axes than what it is applied to", constant)
    assert constant.shape is not None
    is_one = all(dim == 1 for dim in constant.shape.numpy())
    if not is_one and x.shape[axis] != channels:
        return no(f"the input is not known to have {channels} channels", x)
    return is_per_channel(constant, rank, axis, channels)


def is_unpadded(match: Match) -> bool | No:
    """Refuse a convolution that pads its input: a shift of the input is not in the padding."""
    attributes = match.linear
    is_padded = attributes.auto_pad.startswith("SAME") or any(attributes.pads or ())
    return not is_padded or no("the convolution pads with zeros, which the shift does not reach")


def _rank(value: ir.Value) -> int | None:
    return len(value.shape) if value.shape is not None else None


# --- replacements --------------------------------------------------------------------------------


def fold_after(op: Builder, match: Match, affine: Affine) -> ir.Value | No:
    """Build the matched operator with a scale and shift of its output in weight and bias."""
    where = layout(match)
    weight = _scaled(match.weight, where, where.spread(affine.scale, where.output))
    bias = _bias(match) * affine.scale + affine.shift
    return _build(op, match, where, weight, bias)


def fold_before(op: Builder, match: Match, affine: Affine) -> ir.Value | No:
    """Build the matched operator with a scale and shift of its input in weight and bias."""
    where = layout(match)
    weight = _scaled(match.weight, where, where.spread(affine.scale, 3 - where.output))
    bias = _bias(match)
    if affine.shift.any():
        bias = bias + _response(match, where, affine.shift)
    return _build(op, match, where, weight, bias)


def _bias(match: Match) -> Vector:
    """Return what is added to each output channel, zero where there is no bias."""
    if match.bias is None:
        return np.zeros(1)
    return vector(match.bias) * _factor(match, "beta")


def _factor(match: Match, name: str) -> float:
    is_gemm = match.linear.node.op_type == "Gemm"
    return float(getattr(match.linear, name)) if is_gemm else 1.0


def _response(match: Match, where: Layout, shift: Vector) -> Vector:
    """Return what an input that is `shift` everywhere gives in each output channel."""
    blocks = match.weight.reshape(where.shape)
    inputs = 3 - where.output
    spread = where.spread(shift, inputs)[..., 0]
    total = np.zeros((where.shape[0], where.shape[where.output]))
    for part in _parts(where):
        by = _cut(spread, where, part)
        sums = (blocks[part].sum(axis=3, dtype=np.float64) * by).sum(axis=inputs)
        if inputs == 1:
            total += sums
        else:
            total[part] = sums
    return total.ravel() * _factor(match, "alpha")


def _scaled(weight: Array, where: Layout, factor: Vector) -> Array | No:
    """Multiply a weight, in double precision."""
    blocks = weight.reshape(where.shape)
    result = np.empty_like(blocks)
    for part in _parts(where):
        with np.errstate(invalid="ignore"):
            exact = blocks[part].astype(np.float64) * _cut(factor, where, part)
        done = rounded(exact, weight.dtype)
        if isinstance(done, No):
            return done
        result[part] = done
    return result.reshape(weight.shape)


_Part = tuple[slice, slice]


def _parts(where: Layout) -> Iterator[_Part]:
    """Yield slices of rows, so that a large weight is widened to double precision bit by bit."""
    rows, size = where.shape[1], math.prod(where.shape)
    step = max(1, _AT_ONCE * rows // max(1, size))
    for start in range(0, rows, step):
        yield slice(None), slice(start, start + step)


def _cut(factor: Vector, where: Layout, part: _Part) -> Vector:
    return np.broadcast_to(factor, where.shape[: factor.ndim])[part]


def _build(
    op: Builder, match: Match, where: Layout, weight: Array | No, exact: Vector
) -> ir.Value | No:
    if isinstance(weight, No):
        return weight
    bias = rounded(np.broadcast_to(exact, (where.outputs,)), weight.dtype)
    if isinstance(bias, No):
        return bias
    node, x = match.linear.node, match.x
    needs_bias = match.bias is not None or bool(bias.any())
    if node.op_type == "MatMul":
        product: ir.Value = op.MatMul(x, weight)
        made: ir.Value = op.Add(product, bias) if needs_bias else product
        return made
    attributes = dict(match.linear.items())
    if needs_bias:
        # The factor of a Gemm's bias is part of `bias` already.
        attributes.pop("beta", None)
    operands = (x, weight, bias) if needs_bias else (x, weight)
    result: ir.Value = op.call(node.op_type, *operands, attributes=attributes)
    return result

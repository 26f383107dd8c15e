"""Our own lowerings of operators, where the exporter's are wrong or missing."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset23

from sardonyx.frontends.torch import fourier
from sardonyx.frontends.torch.aten import Table, overloads
from sardonyx.frontends.torch.attention import scaled_dot_product_attention

op: Any = opset23  # its type hints do not know the values of a trace


def translations() -> Table:
    """The lowerings of all operators that are registered with PyTorch by now."""
    table = overloads(
        {
            # The exporter's takes 4 dims only, no enable_gqa with equal heads, and no narrow masks.
            "scaled_dot_product_attention.default": scaled_dot_product_attention,
            # The exporter's does not promote the type: 1.0 - integers fails.
            "rsub.Scalar": subtract_from_scalar,
            # The exporter's gives a convolution without bias one of the wrong shape.
            "conv3d.default": conv3d,
            # The exporter has none for these.
            "_cdist_forward.default": pairwise_distance,
            # The exporter's is off by a digit for each that a number is less than one.
            "log1p.default": log_of_one_plus,
            "grid_sampler_3d.default": grid_sampler,
            "masked_select.default": masked_select,
            # The exporter's rounds to single precision first.
            "scalar_tensor.default": scalar_tensor,
            # The exporter's gives a scalar an axis.
            "nonzero.default": nonzero,
            # ONNX Runtime's DFT is less exact than float32.
            "_fft_r2c.default": fourier.real_to_complex,
        }
    )
    table[torch.sym_sqrt] = square_root_of_size
    # The exporter's rounds to zero.
    table[operator.floordiv] = floor_division_of_sizes
    # An operator of Hugging Face's mixtures of experts, known once transformers has defined it.
    if hasattr(torch.ops.transformers, "grouped_mm_fallback"):
        table[torch.ops.transformers.grouped_mm_fallback.default] = grouped_matmul
    return table


def complex_translations() -> Table:
    """The lowerings of operators whose operands are complex numbers, as pairs in a last axis."""
    return overloads(
        {
            "_conj_physical.default": fourier.conjugate,
            "_fft_c2c.default": fourier.complex_to_complex,
            "_fft_c2r.default": fourier.complex_to_real,
            "constant_pad_nd.default": fourier.pad_with_zeros,
            "expand.default": fourier.expand,
            "unsqueeze.default": fourier.unsqueeze,
        }
    )


def masked_select(self: Any, mask: Any) -> Any:
    """The numbers where the mask is true, in one row; the two are broadcast."""
    row = op.Constant(value_ints=[-1])
    numbers = op.Reshape(op.Expand(self, op.Shape(mask)), row)
    return op.Compress(numbers, op.Reshape(op.Expand(mask, op.Shape(self)), row))


def grid_sampler(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """Numbers of a volume at places of a grid, with ATen's codes for the modes."""
    return op.GridSample(
        input,
        grid,
        mode=("linear", "nearest", "cubic")[interpolation_mode],
        padding_mode=("zeros", "border", "reflection")[padding_mode],
        align_corners=int(align_corners),
    )


def log_of_one_plus(self: Any) -> Any:
    """log(1 + x), by the inverse hyperbolic tangent where x is small.

    Of an exponential it stays as it is: that is Softplus, and becomes one operator.
    """
    one, two, half = (_scalar(number, self.dtype) for number in (1.0, 2.0, 0.5))
    plain = op.Log(op.Add(self, one))
    node = self.producer()
    if node is not None and node.op_type == "Exp":
        return plain
    is_small = op.Less(op.Abs(self), half)
    small = op.Where(is_small, self, _scalar(0.0, self.dtype))
    return op.Where(is_small, op.Mul(two, op.Atanh(op.Div(small, op.Add(two, small)))), plain)


def nonzero(self: Any) -> Any:
    """The places of numbers that are not zero, a row for each; a scalar has none to tell."""
    if len(self.shape) == 0:
        flags = op.Reshape(op.Cast(self, to=ir.DataType.BOOL), op.Constant(value_ints=[1]))
        count = op.Cast(flags, to=ir.DataType.INT64)
        return op.ConstantOfShape(
            op.Concat(count, op.Constant(value_ints=[0]), axis=0),
            value=ir.tensor([0], dtype=ir.DataType.INT64),
        )
    return op.Transpose(op.NonZero(self), perm=[1, 0])


def scalar_tensor(s: Any, dtype: int = ir.DataType.FLOAT, **_: Any) -> Any:
    """A tensor of one number, exact in double precision too."""
    return _scalar(s, ir.DataType(dtype))


def subtract_from_scalar(self: Any, other: Any, alpha: Any = 1) -> Any:
    """other - alpha * self, of a floating-point type if one of the three is."""
    has_float = isinstance(other, float) or isinstance(alpha, float)
    if has_float and not self.dtype.is_floating_point():
        self = _cast(self, ir.DataType.FLOAT)
    if alpha != 1:
        self = op.Mul(self, _scalar(alpha, self.dtype))
    return op.Sub(_scalar(other, self.dtype), self)


def _cast(value: Any, dtype: ir.DataType) -> Any:
    result = op.Cast(value, to=dtype)
    result.dtype = dtype
    return result


def _scalar(number: Any, dtype: ir.DataType) -> Any:
    if isinstance(number, ir.Value):  # the size of a dynamic dim
        return op.Cast(number, to=dtype)
    return op.Constant(value=ir.tensor(number, dtype=dtype))


def conv3d(  # noqa: PLR0917 (the operator's schema)
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Any:
    """Convolution over three dims; input is (N, C, D, H, W), or (C, D, H, W) without N."""
    batched = len(input.shape) == 5
    if not batched:
        input = op.Unsqueeze(input, op.Constant(value_ints=[0]))
    stride, padding, dilation = (
        [*sizes] * (3 // len(sizes)) for sizes in (stride, padding, dilation)
    )
    result = op.Conv(
        input,
        weight,
        bias,
        kernel_shape=list(weight.shape[2:]),
        strides=stride,
        pads=[*padding, *padding],
        dilations=dilation,
        group=groups,
    )
    return result if batched else op.Squeeze(result, op.Constant(value_ints=[0]))


def pairwise_distance(x1: Any, x2: Any, p: float, compute_mode: int | None = None) -> Any:
    """The p-norm of each row of ``x1`` (..., M, K) minus each row of ``x2`` (..., N, K)."""
    rows = op.Unsqueeze(x1, op.Constant(value_ints=[-2]))
    columns = op.Unsqueeze(x2, op.Constant(value_ints=[-3]))
    difference = op.Abs(op.Sub(rows, columns))
    last = op.Constant(value_ints=[-1])
    if p == 0:
        return op.ReduceSum(op.Sign(difference), last, keepdims=0)
    if p == 1:
        return op.ReduceL1(difference, last, keepdims=0)
    if p == 2:
        return op.ReduceL2(difference, last, keepdims=0)
    if p == float("inf"):
        return op.ReduceMax(difference, last, keepdims=0)
    power, root = _scalar(p, x1.dtype), _scalar(1 / p, x1.dtype)
    return op.Pow(op.ReduceSum(op.Pow(difference, power), last, keepdims=0), root)


def floor_division_of_sizes(self: Any, other: Any) -> Any:
    """a // b of the sizes of dims; of what may be negative ONNX's Div would give another."""
    if _is_not_negative(self) and _is_not_negative(other):
        return op.Div(self, other)
    return op.Div(op.Sub(self, op.Mod(self, other)), other)


_OF_ALL = ("Add", "Mul", "Div", "Mod", "Max")
_OF_FIRST = ("Cast", "Gather", "Identity", "Squeeze", "Unsqueeze")
"""Operators whose result is not negative where all their operands are not, or the first."""


def _is_not_negative(size: Any) -> bool:
    """Whether a number that a trace computes of sizes is known to be none below zero."""
    if not isinstance(size, ir.Value):
        return bool(size >= 0)
    held = ir.convenience.get_const_tensor(size)
    if held is not None:
        return bool((held.numpy() >= 0).all())
    node = size.producer()
    if node is None or node.op_type in ("Shape", "Size"):
        return node is not None
    if node.op_type in _OF_FIRST:
        return _is_not_negative(node.inputs[0])
    return node.op_type in _OF_ALL and all(map(_is_not_negative, node.inputs))


def square_root_of_size(size: Any) -> Any:
    """math.sqrt of the size of a dynamic dim."""
    return op.Sqrt(op.Cast(size, to=ir.DataType.FLOAT))


def grouped_matmul(input: Any, weight: Any, offs: Any) -> Any:
    """Rows of ``input``, grouped by expert, times the matrix of their expert.

    Args:
        input: Rows (S, K), in order of experts.
        weight: One matrix per expert (E, K, N); E is known.
        offs: Where each expert's rows end (E), increasing; rows after the last give zeros.
    """
    experts = weight.shape[0]
    axis, ends = op.Constant(value_ints=[0]), op.Cast(offs, to=ir.DataType.INT64)
    bounds = [op.Constant(value_ints=[0])]
    parts = []
    for expert in range(experts):
        bounds.append(op.Gather(ends, op.Constant(value_ints=[expert])))
        rows = op.Slice(input, bounds[-2], bounds[-1], axis)
        parts.append(op.MatMul(rows, op.Gather(weight, op.Constant(value_int=expert), axis=0)))
    rest = op.Slice(input, bounds[-1], op.Shape(input, start=0, end=1), axis)
    shape = op.Concat(op.Shape(rest, start=0, end=1), op.Shape(weight, start=2), axis=0)
    zero = op.Constant(value=ir.tensor(0, dtype=input.dtype))
    return op.Concat(*parts, op.Expand(zero, shape), axis=0)

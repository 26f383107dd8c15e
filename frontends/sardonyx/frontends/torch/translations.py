"""Our own lowerings of operators, where the exporter's are wrong or missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset23

from sardonyx.frontends.torch.attention import scaled_dot_product_attention

Table = dict[Callable[..., Any], Callable[..., Any]]

aten: Any = torch.ops.aten
op: Any = opset23  # its type hints do not know the values of a trace


def translations() -> Table:
    """The lowerings of all operators that are registered with PyTorch by now."""
    table: Table = {
        # The exporter's takes 4 dims only, no enable_gqa with equal heads, and no narrow masks.
        aten.scaled_dot_product_attention.default: scaled_dot_product_attention,
        # The exporter's does not promote the type: 1.0 - integers fails.
        aten.rsub.Scalar: subtract_from_scalar,
        # The exporter's gives a convolution without bias one of the wrong shape.
        aten.conv3d.default: conv3d,
        # The exporter has none for these.
        aten._cdist_forward.default: pairwise_distance,
        torch.sym_sqrt: square_root_of_size,
    }
    # An operator of Hugging Face's mixtures of experts, known once transformers has defined it.
    if hasattr(torch.ops.transformers, "grouped_mm_fallback"):
        table[torch.ops.transformers.grouped_mm_fallback.default] = grouped_matmul
    return table


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

"""Lowering of Fourier transforms, and of what surrounds them; complex numbers are pairs (..., 2).

Short transforms are products with a matrix of the roots of unity, exact to the last digits: those
that ONNX Runtime's DFT computes in float32 are not, and neither are its results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnxscript import opset23

op: Any = opset23  # its type hints do not know the values of a trace

LARGEST = 128
Array = npt.NDArray[Any]


def complex_to_complex(x: Any, dim: Sequence[int], normalization: int, forward: bool) -> Any:
    """The transform along some axes, or with ``forward`` false the inverse one, not scaled."""
    rank = len(x.shape) - 1
    made = x
    for axis in dim:
        made = _along(made, x.shape[axis % rank], axis % rank, rank, forward, x.dtype)
    return _times(made, _scale([x.shape[a % rank] for a in dim], normalization), x.dtype)


def real_to_complex(x: Any, dim: Sequence[int], normalization: int, onesided: bool) -> Any:
    """The transform along some axes; of the last one only the first half if ``onesided``."""
    rank = len(x.shape)
    *others, last = (axis % rank for axis in dim)
    size = x.shape[last]
    if _is_short(size):
        width = size // 2 + 1 if onesided else size
        matrix = _roots(size, size, forward=True)[:, 0, :width]
        made = _product(op.Unsqueeze(x, _ints([-1])), last, rank, matrix.reshape(size, -1), x.dtype)
    else:
        pairs = op.Unsqueeze(x, _ints([-1]))
        made = op.DFT(pairs, axis=op.Constant(value_int=last), onesided=int(onesided))
    for axis in others:
        made = _along(made, x.shape[axis], axis, rank, True, x.dtype)
    return _times(made, _scale([x.shape[a % rank] for a in dim], normalization), x.dtype)


def complex_to_real(x: Any, dim: Sequence[int], normalization: int, last_dim_size: Any) -> Any:
    """The real numbers whose transform has ``x`` as its first half along the last of the axes."""
    rank = len(x.shape) - 1
    *others, last = (axis % rank for axis in dim)
    made = x
    for axis in others:
        made = _along(made, x.shape[axis], axis, rank, False, x.dtype)
    size, half = last_dim_size, x.shape[last]
    if not _is_short(size) or half != size // 2 + 1:
        raise NotImplementedError(f"an inverse real transform of size {size} from {half} numbers")
    # All but the first and the middle one stand for their mirror images too.
    count = np.full(half, 2.0)
    count[0] = 1.0
    if size % 2 == 0:
        count[-1] = 1.0
    matrix = (_roots(half, size, forward=False, period=size) * count[:, None, None, None])[..., 0]
    made = _product(made, last, rank, matrix.reshape(2 * half, size), x.dtype, is_real=True)
    sizes = [size if axis % rank == last else x.shape[axis % rank] for axis in dim]
    return _times(made, _scale(sizes, normalization), x.dtype)


def conjugate(x: Any) -> Any:
    """The complex conjugate."""
    return op.Mul(x, op.Constant(value=ir.tensor([1, -1], dtype=x.dtype)))


def pad_with_zeros(x: Any, pad: Sequence[int], value: Any = 0) -> Any:
    """Zeros around complex numbers; the last axis comes first in ``pad``."""
    if value != 0:
        raise NotImplementedError(f"padding complex numbers with {value}")
    rank = len(x.shape)
    before, after = [0] * rank, [0] * rank
    for index in range(len(pad) // 2):
        before[rank - 2 - index], after[rank - 2 - index] = pad[2 * index : 2 * index + 2]
    return op.Pad(x, _ints(before + after))


def unsqueeze(x: Any, dim: int) -> Any:
    """Complex numbers with an axis of one; axes from the end are before that of the pairs."""
    return op.Unsqueeze(x, _ints([dim if dim >= 0 else dim - 1]))


def expand(x: Any, size: Sequence[Any], implicit: bool = False) -> Any:
    """Complex numbers repeated along axes of one, to sizes of which -1 leaves an axis alone."""
    given = [_ints([1 if s == -1 else s]) if isinstance(s, int) else _row(s) for s in size]
    return op.Expand(x, op.Concat(*given, _ints([1]), axis=0))


def _row(size: Any) -> Any:
    return op.Reshape(size, _ints([1]))


def _is_short(size: Any) -> bool:
    return isinstance(size, int) and 0 < size <= LARGEST


def _ints(numbers: Sequence[int]) -> Any:
    return op.Constant(value=ir.tensor(np.array(numbers, np.int64)))


# The dtype of a result is not noted on it: the exporter would take it for no complex number then.
def _along(  # noqa: PLR0917
    x: Any, size: Any, axis: int, rank: int, forward: bool, dtype: ir.DataType
) -> Any:
    if _is_short(size):
        matrix = _roots(size, size, forward=forward).reshape(2 * size, 2 * size)
        return _product(x, axis, rank, matrix, dtype)
    made = op.DFT(x, axis=op.Constant(value_int=axis), inverse=int(not forward))
    if forward:
        return made
    # ONNX divides by the size.
    return op.Mul(made, op.Cast(op.Shape(x, start=axis, end=axis + 1), to=dtype))


def _roots(rows: int, columns: int, *, forward: bool, period: int | None = None) -> Array:
    """The matrix (row, re or im, column, re or im) that multiplies by roots of unity."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % (period or rows)
    angle = 2 * math.pi * turns / (period or rows)
    cosine, sine = np.cos(angle), np.sin(angle) * (-1 if forward else 1)
    by_input = [np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)]
    return np.stack(by_input, 1)


def _product(
    x: Any, axis: int, rank: int, matrix: Array, dtype: ir.DataType, *, is_real: bool = False
) -> Any:
    """Pairs along an axis, as one row of numbers, times a matrix that gives pairs or reals."""
    order = [i for i in range(rank) if i != axis]
    made = op.Transpose(x, perm=[*order, axis, rank])
    outer = op.Shape(made, start=0, end=rank - 1)
    made = op.Reshape(made, op.Concat(outer, _ints([matrix.shape[0]]), axis=0), allowzero=1)
    made = op.MatMul(made, op.Constant(value=ir.tensor(matrix.astype(dtype.numpy()))))
    back = [order.index(i) if i != axis else rank - 1 for i in range(rank)]
    if not is_real:
        pairs = _ints([matrix.shape[1] // 2, 2])
        made = op.Reshape(made, op.Concat(outer, pairs, axis=0), allowzero=1)
        back = [*back, rank]
    return op.Transpose(made, perm=back)


def _scale(sizes: Sequence[Any], normalization: int) -> float:
    """ATen's codes: 0 for none, 1 for the root of the size, 2 for the size."""
    if normalization == 0:
        return 1.0
    if not all(isinstance(size, int) for size in sizes):
        raise NotImplementedError("a scaled transform along an axis of dynamic size")
    return float(math.prod(sizes) ** (-0.5 if normalization == 1 else -1))


def _times(x: Any, factor: float, dtype: ir.DataType) -> Any:
    return x if factor == 1 else op.Mul(x, op.Constant(value=ir.tensor(factor, dtype=dtype)))

"""Where arithmetic does not round.

Numbers that are short enough are summed and multiplied without rounding, in any order, and a
quotient or a root that is as short is given exactly (IEEE 754-2019, clause 5.4.1). So counts that
are kept in floating point, and what indices are computed from them, are the same on any kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants

EPSILON = {
    ir.DataType.FLOAT: 2.0**-23,
    ir.DataType.DOUBLE: 2.0**-52,
    ir.DataType.FLOAT16: 2.0**-10,
    ir.DataType.BFLOAT16: 2.0**-7,
}
"""The distance from one to the next number of a dtype."""

_MOVES = frozenset(
    {
        *("Cast", "CastLike", "Concat", "Expand", "Flatten", "Gather", "GatherElements"),
        *("GatherND", "Identity", "Neg", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Tile"),
        *("Transpose", "Unsqueeze", "Where", "Constant", "ConstantOfShape", "Trilu", "OneHot"),
        *("Compress", "DepthToSpace", "EyeLike", "ReverseSequence", "SpaceToDepth"),
        *("Max", "Min", "Relu", "MaxPool", "GlobalMaxPool", "Abs", "Sign", "Floor", "Ceil"),
        *("Round", "Clip", "Range", "ReduceMax", "ReduceMin", "TopK", "ThresholdedRelu"),
    }
)
"""Operators that give numbers they are given, or whole ones."""

_REDUCTIONS = {"none", "max", "min"}
"""How a scatter does so."""

_SHORT_STAYS_SHORT = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Sqrt", "Sum", "Mod", "CumSum", "MatMul", "Gemm"),
        *("ReduceSum", "ReduceProd", "ReduceL1", "ReduceSumSquare"),
        *("Scatter", "ScatterElements", "ScatterND"),
    }
)
"""Operators that round numbers, but no short ones where the result is short."""

_NUMBERS = {"value", "value_float", "value_floats", "alpha", "beta"}
"""Attributes that numbers are computed from."""

_FEW = 64


def is_exact(node: ir.Node) -> bool:
    """Say whether an operator gives the very numbers that it is given."""
    if node.domain:
        return False
    if node.op_type.startswith("Scatter"):
        return node.attributes.get_string("reduction", "none") in _REDUCTIONS
    return node.op_type in _MOVES


def is_rounded(value: ir.Value) -> bool:
    """Say whether a value is of a floating-point dtype that arithmetic is done in."""
    return isinstance(value.type, ir.TensorType) and value.dtype in EPSILON


def digits(epsilon: float) -> tuple[int, int]:
    """Return how many binary digits short numbers have before the point, and how many after it.

    A quarter of those that a dtype has are for halves and quarters, as in the middle of a pixel.

    Args:
        epsilon: The distance from one to the next number of the dtype.
    """
    precision = 1 - round(math.log2(epsilon))
    return precision - precision // 4, precision // 4


def computed_exactly(nodes: Iterable[ir.Node]) -> set[ir.Value]:
    """Return values that are computed from short numbers in such a way that short ones are exact.

    Not all their elements need be short: 4 / 3 is not, 6 / 3 is, and exact.

    Args:
        nodes: Those of a model, what is read before what reads it.
    """
    found: set[ir.Value] = set()
    for node in nodes:
        may_be = not node.domain and node.op_type in _MOVES | _SHORT_STAYS_SHORT
        if may_be and all(map(_are_short, _numbers_of(node))):
            read = [v for v in node.inputs if v is not None and _is_float(v)]
            # What is computed comes first: weights beside it need not be read then.
            read.sort(key=constants.is_constant)
            if all(v in found or _is_short(v) for v in read):
                found.update(node.outputs)
    return found


def _is_float(value: ir.Value) -> bool:
    return value.dtype is None or value.dtype.is_floating_point()


def _is_short(value: ir.Value) -> bool:
    array = constants.array(value) if is_rounded(value) else None
    return array is not None and _are_short(array)


def _numbers_of(node: ir.Node) -> Iterator[constants.Array]:
    for name in _NUMBERS & node.attributes.keys():
        value = node.attributes[name].value
        yield value.numpy() if isinstance(value, ir.TensorProtocol) else np.asarray(value)


def _are_short(array: constants.Array) -> bool:
    before, after = digits(EPSILON[ir.DataType.FLOAT])
    if array.dtype.kind in "OSUc":
        return False
    flat = array.reshape(-1)
    # Of weights a few tell.
    for part in (flat[:: flat.size // _FEW + 1], flat):
        numbers = part.astype(np.float64)
        if not np.all(np.abs(numbers) < 2.0**before) or np.any(numbers * 2.0**after % 1):
            return False
    return True

"""Rows of the standard quantisation operators."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import AxisAttribute, AxisMap, Fixed, along, rank
from sardonyx.compiler.ops.cost import contraction, matrix_product, per_element, recurrent
from sardonyx.compiler.ops.row import define, none
from sardonyx.compiler.ops.sample import (
    REAL,
    Array,
    Case,
    Random,
    Sampler,
    Values,
    any_axis,
    between,
    dims,
    integers,
)
from sardonyx.compiler.ops.tolerance import Tolerance

_BYTES = integers(0, 256, np.uint8)


def _linear_axes(node: ir.Node) -> AxisMap | Fixed:
    """The scale is one number, or one for each slice along `axis`, or one for each block there."""
    if Attributes(node).block_size:
        return along(AxisAttribute("axis"), tied=3)(node)
    return along(*([AxisAttribute("axis")] if rank(node.inputs[1]) else []))(node)


def _linear(data: Values) -> Sampler:
    def sample(random: Random) -> Case:
        shape = dims(random, least=2)
        axis = any_axis(random, len(shape))
        kind = int(random.integers(3))
        blocks = [*shape]
        blocks[axis] = -(-shape[axis] // 2)
        scales: tuple[int, ...] = [(), (shape[axis],), tuple(blocks)][kind]
        scale = between(0.02, 0.1)(random, scales)
        zero = integers(100, 150, np.uint8)(random, scales) if random.random() < 0.7 else None
        values = data(random, shape)
        attributes = [{}, {"axis": axis}, {"axis": axis, "block_size": 2}][kind]
        return Case((values, scale, zero), attributes, frozenset({1, 2}))

    return sample


define(
    "QuantizeLinear",
    axes=_linear_axes,
    cost=per_element(4),
    # A rounding of the quotient may cross a half: one step of the integer either way.
    tolerance=Tolerance.ROUNDING,
    sample=_linear(REAL),
)
define(
    "DequantizeLinear",
    axes=_linear_axes,
    cost=per_element(2),
    tolerance=Tolerance.ROUNDING,
    sample=_linear(_BYTES),
)


def _dynamic(random: Random) -> Case:
    return Case((REAL(random, dims(random)),))


define(
    "DynamicQuantizeLinear",
    axes=lambda node: AxisMap(dict.fromkeys((0, ~0), tuple(range(rank(node.inputs[0]))))),
    cost=per_element(6),
    tolerance=Tolerance.ROUNDING,
    sample=_dynamic,
)


def steps(scale: float, zero: int) -> tuple[Array, Array]:
    """Return the scale and the zero point of a whole tensor."""
    return np.array(scale, np.float32), np.array(zero, np.uint8)


def _qlinear_conv(random: Random) -> Case:
    data, weight = _BYTES(random, (2, 3, 6, 7)), _BYTES(random, (4, 3, 3, 2))
    operands = (data, *steps(0.03, 120), weight, *steps(0.02, 130), *steps(0.2, 128))
    return Case(operands, constants=frozenset(range(1, 8)))


def _qlinear_matmul(random: Random) -> Case:
    rows, inner, columns = (int(x) for x in random.integers(1, 6, 3))
    left, right = _BYTES(random, (2, rows, inner)), _BYTES(random, (inner, columns))
    operands = (left, *steps(0.03, 120), right, *steps(0.02, 130), *steps(0.2, 128))
    return Case(operands, constants=frozenset((1, 2, 4, 5, 6, 7)))


define(
    "QLinearConv",
    axes=Fixed("its layout is batch, channels, then space"),
    cost=contraction(3),
    tolerance=Tolerance.ROUNDING,
    sample=_qlinear_conv,
)
define(
    "QLinearMatMul",
    axes=Fixed("its operands are matrices"),
    cost=matrix_product(),
    tolerance=Tolerance.ROUNDING,
    sample=_qlinear_matmul,
)

_MICROSOFT = "com.microsoft"
_STEPPED = none("the tests of the passes that make it compare it with the float operators")

# ONNX Runtime's contrib operators; source: its docs/ContribOperators.md.
define(
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearReduceMean",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QLinearWhere",
    domain=_MICROSOFT,
    axes=Fixed("it is made after layouts are chosen"),
    cost=per_element(4),
    tolerance=Tolerance.ROUNDING,
    sample=_STEPPED,
)
define(
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "QGemm",
    domain=_MICROSOFT,
    axes=Fixed("it is made after layouts are chosen"),
    cost=matrix_product(),
    tolerance=Tolerance.ACCUMULATING,
    sample=_STEPPED,
)
define(
    "DynamicQuantizeLSTM",
    domain=_MICROSOFT,
    axes=Fixed("its layout is sequence, batch, hidden"),
    cost=recurrent(4),
    tolerance=Tolerance.ACCUMULATING,
    sample=_STEPPED,
)

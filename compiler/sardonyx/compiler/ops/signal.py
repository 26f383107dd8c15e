"""Rows of the operators on signals."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ops.axes import AxesOperand, AxisMap, Fixed, along, has_operand, rank
from sardonyx.compiler.ops.cost import Cost, Sizes, per_element
from sardonyx.compiler.ops.row import define
from sardonyx.compiler.ops.sample import REAL, Case, Random, choose
from sardonyx.compiler.ops.tolerance import Tolerance


def _window(random: Random) -> Case:
    size = np.array(random.integers(2, 9), np.int64)
    return Case((size,), choose(random, {"periodic": [None, 0]}))


define(
    "BlackmanWindow",
    "HammingWindow",
    "HannWindow",
    axes=Fixed("it has no operand with axes"),
    cost=per_element(10),
    tolerance=Tolerance.TRANSCENDENTAL,
    sample=_window,
)


def _mel(random: Random) -> Case:
    whole = [np.array(x, np.int64) for x in (4, 16, 8000)]
    edges = [np.array(x, np.float32) for x in (0.0, 4000.0)]
    return Case((*whole, *edges))


define(
    "MelWeightMatrix",
    axes=Fixed("it has no operand with axes"),
    cost=per_element(2),
    tolerance=Tolerance.TRANSCENDENTAL,
    sample=_mel,
)


def _dft_axes(node: ir.Node) -> AxisMap | Fixed:
    """The last axis holds real and imaginary parts; `axis` names another one."""
    default = max(0, rank(node.inputs[0]) - 2)
    if not has_operand(node, 2) and default == 0:
        return Fixed("its axis is its first")
    return along(AxesOperand(2, absent=(default,), is_scalar=True), last_fixed=1)(node)


def _transform_cost(node: ir.Node, sizes: Sizes) -> Cost:
    count = sizes.elements(node.outputs[0])
    length = max(2, *sizes.dims(node.inputs[0]))
    return Cost(int(5 * count * math.log2(length)), sizes.traffic(node))


def _dft(random: Random) -> Case:
    shape = (2, 5, 3, int(random.choice([1, 2])))
    axis = np.array(random.choice([0, 1, -2, 2]), np.int64)
    given = (REAL(random, shape), None, axis) if random.random() < 0.7 else (REAL(random, shape),)
    return Case(given, constants=frozenset({2}))


define(
    "DFT",
    axes=_dft_axes,
    cost=_transform_cost,
    tolerance=Tolerance.ACCUMULATING,
    sample=_dft,
)


def _stft(random: Random) -> Case:
    signal = REAL(random, (2, 24, 1))
    window = REAL(random, (8,))
    return Case((signal, np.array(4, np.int64), window), constants=frozenset({1}))


define(
    "STFT",
    axes=Fixed("its layout is batch, time, parts"),
    cost=_transform_cost,
    tolerance=Tolerance.ACCUMULATING,
    sample=_stft,
)

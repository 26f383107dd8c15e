"""Rows of the operators that reduce, scan or order along axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import (
    AxesAttribute,
    AxesOperand,
    AxisAttribute,
    AxisMap,
    Fixed,
    Parameter,
    along,
    constant_axes,
    has_operand,
    is_computed,
    normalized,
    rank,
    without,
)
from sardonyx.compiler.ops.cost import per_operand_element
from sardonyx.compiler.ops.row import Trait, define, none
from sardonyx.compiler.ops.sample import (
    POSITIVE,
    REAL,
    Case,
    Random,
    Sampler,
    Values,
    any_axis,
    between,
    choose,
    dims,
    integers,
    ints,
    some_axes,
)
from sardonyx.compiler.ops.sample import along as along_sample
from sardonyx.compiler.ops.tolerance import Tolerance


def _reduce_axes(node: ir.Node) -> AxisMap | Fixed:
    if is_computed(node, 1):
        return Fixed("its axes are computed")
    attributes = Attributes(node)
    parameters: tuple[Parameter, ...] = (AxesOperand(1),)
    count = rank(node.inputs[0])
    given = constant_axes(node, 1) if has_operand(node, 1) else None
    if not given:
        given = [] if attributes.noop_with_empty_axes else list(range(count))
        parameters = ()
    dropped = [] if attributes.keepdims else [normalized(axis, count) for axis in given]
    return without(node, dropped, parameters)


def _pick_axes(node: ir.Node) -> AxisMap | Fixed:
    attributes = Attributes(node)
    axis = normalized(attributes.axis, rank(node.inputs[0]))
    return without(node, [] if attributes.keepdims else [axis], (AxisAttribute("axis"),))


def _reduce_sample(values: Values = REAL) -> Sampler:
    def sample(random: Random) -> Case:
        shape = dims(random)
        data = values(random, shape)
        attributes = choose(random, {"keepdims": [None, 0, 1]})
        if random.random() < 0.15:
            return Case((data,), {**attributes, **choose(random, {"noop_with_empty_axes": [0, 1]})})
        axes = ints(some_axes(random, len(shape)))
        return Case((data, axes), attributes, frozenset({1}))

    return sample


for _names, _tolerance, _values in (
    (("ReduceMax", "ReduceMin"), Tolerance.EXACT, REAL),
    (
        ("ReduceL1", "ReduceL2", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
        Tolerance.ACCUMULATING,
        REAL,
    ),
    (("ReduceLogSum", "ReduceLogSumExp"), Tolerance.ACCUMULATING, POSITIVE),
):
    define(
        *_names,
        axes=_reduce_axes,
        cost=per_operand_element(1),
        tolerance=_tolerance,
        sample=_reduce_sample(_values),
    )

# The first of equal elements wins, whatever the order of the other axes is.
define(
    "ArgMax",
    "ArgMin",
    axes=_pick_axes,
    cost=per_operand_element(1),
    tolerance=Tolerance.EXACT,
    sample=along_sample(integers(-3, 4, np.int32), keepdims=[None, 0], select_last_index=[None, 1]),
)

define(
    "Softmax",
    "LogSoftmax",
    axes=along(AxisAttribute("axis"), kernel_axis="axis"),
    cost=per_operand_element(15),
    tolerance=Tolerance.TRANSCENDENTAL,
    sample=along_sample(),
)
define(
    "Hardmax",
    traits={Trait.IDEMPOTENT},
    axes=along(AxisAttribute("axis"), kernel_axis="axis"),
    cost=per_operand_element(1),
    tolerance=Tolerance.EXACT,
    sample=along_sample(),
)
define(
    "LpNormalization",
    axes=along(AxisAttribute("axis")),
    cost=per_operand_element(4),
    tolerance=Tolerance.ACCUMULATING,
    sample=along_sample(between(0.2, 3), p=[None, 1]),
)


def _mean_variance_sample(random: Random) -> Case:
    attributes = choose(random, {"axes": [None, [1], [0, 2], [3, 1]]})
    return Case((REAL(random, (2, 3, 4, 5)),), attributes)


define(
    "MeanVarianceNormalization",
    axes=along(AxesAttribute("axes")),
    cost=per_operand_element(5),
    tolerance=Tolerance.ACCUMULATING,
    sample=_mean_variance_sample,
)


def _cumsum(random: Random) -> Case:
    shape = dims(random)
    axis = np.array(any_axis(random, len(shape)), np.int64)
    attributes = choose(random, {"exclusive": [None, 1], "reverse": [None, 1]})
    return Case((REAL(random, shape), axis), attributes, frozenset({1}))


def _topk(random: Random) -> Case:
    shape = dims(random)
    axis = any_axis(random, len(shape))
    count = int(random.integers(1, shape[axis] + 1))
    attributes = {"axis": axis, **choose(random, {"largest": [None, 0]})}
    # Distinct values: which of equal elements comes first is not defined.
    data = random.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
    return Case((data, ints([count])), attributes, frozenset({1}))


define(
    "CumSum",
    axes=along(AxesOperand(1, is_scalar=True)),
    cost=per_operand_element(1),
    tolerance=Tolerance.ACCUMULATING,
    sample=_cumsum,
)
define(
    "TopK",
    axes=along(AxisAttribute("axis")),
    cost=per_operand_element(10),
    tolerance=Tolerance.EXACT,
    sample=_topk,
)

define(
    "NegativeLogLikelihoodLoss",
    "SoftmaxCrossEntropyLoss",
    axes=Fixed("the class is axis 1 of the scores and no axis of the target"),
    cost=per_operand_element(15),
    tolerance=Tolerance.ACCUMULATING,
    sample=none("a training loss; the node corpus of ONNX covers it"),
)

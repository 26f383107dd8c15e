"""Rows of the operators that read or change shapes, and of those that make tensors from nothing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import (
    AxesOperand,
    AxisMap,
    Fixed,
    LengthOfAxes,
    constant_axes,
    has_operand,
    is_computed,
    normalized,
    rank,
    without,
)
from sardonyx.compiler.ops.cost import free, moved, per_element
from sardonyx.compiler.ops.row import Trait, define
from sardonyx.compiler.ops.sample import REAL, Case, Random, choose, dims, ints, some_axes
from sardonyx.compiler.ops.tolerance import Tolerance

_MOVES = Trait.DATA_MOVEMENT


def _shape_axes(node: ir.Node) -> AxisMap | Fixed:
    count = rank(node.inputs[0])
    attributes = Attributes(node)
    start = attributes.start or 0
    end = count if attributes.end is None else attributes.end
    start, end = (min(max(normalized(x, count), 0), count) for x in (start, end))
    return AxisMap({0: tuple(range(count))}, parameters=(LengthOfAxes(start, end),))


def _size_axes(node: ir.Node) -> AxisMap | Fixed:
    return AxisMap({0: tuple(range(rank(node.inputs[0])))})


def _any(random: Random) -> Case:
    return Case((REAL(random, dims(random)),))


def _shape(random: Random) -> Case:
    bounds = choose(random, {"start": [None, 1, -2, 0], "end": [None, -1, 2, 9]})
    return Case((REAL(random, dims(random)),), bounds)


for _name, _axes, _sample in (("Shape", _shape_axes, _shape), ("Size", _size_axes, _any)):
    define(
        _name,
        traits={Trait.READS_SHAPE_ONLY},
        axes=_axes,
        cost=free,
        tolerance=Tolerance.EXACT,
        sample=_sample,
    )


def _squeeze_axes(node: ir.Node) -> AxisMap | Fixed:
    if is_computed(node, 1):
        return Fixed("its axes are computed")
    count = rank(node.inputs[0])
    if has_operand(node, 1):
        axes = [normalized(axis, count) for axis in constant_axes(node, 1) or []]
    else:
        value = node.inputs[0]
        lengths = value.shape if value is not None and value.shape is not None else ()
        if any(not isinstance(length, int) for length in lengths):
            return Fixed("it is not known which axes have length 1")
        axes = [axis for axis, length in enumerate(lengths) if length == 1]
    return without(node, axes, (AxesOperand(1, absent=tuple(axes)),))


def _unsqueeze_axes(node: ir.Node) -> AxisMap | Fixed:
    if is_computed(node, 1):
        return Fixed("its axes are computed")
    most = rank(node.outputs[0])
    new = [normalized(axis, most) for axis in constant_axes(node, 1) or []]
    every = tuple(range(most))
    data = tuple(label for label in every if label not in new)
    return AxisMap({0: data, ~0: every}, lead=~0, parameters=(AxesOperand(1, ~0),))


def _squeeze(random: Random) -> Case:
    shape = list(dims(random, least=2))
    axes = some_axes(random, len(shape))
    for axis in axes:
        shape[axis] = 1
    data = REAL(random, tuple(shape))
    return Case((data,) if random.random() < 0.3 else (data, ints(axes)), constants=frozenset({1}))


def _unsqueeze(random: Random) -> Case:
    shape = dims(random, most=3)
    count = int(random.integers(1, 3))
    axes = ints(some_axes(random, len(shape) + count)[:count])
    return Case((REAL(random, shape), axes), constants=frozenset({1}))


def _reshape(random: Random) -> Case:
    shape = dims(random)
    wanted = [-1, shape[-1]] if random.random() < 0.5 else [0, -1]
    return Case((REAL(random, shape), ints(wanted)), constants=frozenset({1}))


def _flatten(random: Random) -> Case:
    shape = dims(random)
    axis = int(random.integers(-len(shape), len(shape) + 1))
    return Case((REAL(random, shape),), {"axis": axis})


for _name, _axes, _sample in (
    ("Squeeze", _squeeze_axes, _squeeze),
    ("Unsqueeze", _unsqueeze_axes, _unsqueeze),
):
    define(
        _name,
        traits={_MOVES},
        axes=_axes,
        cost=free,
        tolerance=Tolerance.EXACT,
        sample=_sample,
    )
for _name, _sample in (("Reshape", _reshape), ("Flatten", _flatten)):
    define(
        _name,
        traits={_MOVES},
        axes=Fixed("it reads the elements in their order in memory"),
        cost=free,
        tolerance=Tolerance.EXACT,
        sample=_sample,
    )

_FROM_NOTHING = Fixed("it has no operand with axes")


def _fill(random: Random) -> Case:
    value = ir.tensor(np.array([1.5], np.float32))
    return Case((ints(dims(random)),), choose(random, {"value": [None, value]}))


def _range(random: Random) -> Case:
    start, delta = int(random.integers(-3, 4)), int(random.choice([-2, 1, 3]))
    limit = start + delta * int(random.integers(0, 6))
    return Case(tuple(np.array(x, np.int64) for x in (start, limit, delta)))


def _eye(random: Random) -> Case:
    shape = dims(random, least=2, most=2)
    return Case((REAL(random, shape),), choose(random, {"k": [None, 1, -1]}))


def _constant(random: Random) -> Case:
    return Case((), {"value": ir.tensor(REAL(random, dims(random)))})


define(
    "Constant",
    axes=_FROM_NOTHING,
    cost=free,
    tolerance=Tolerance.EXACT,
    sample=_constant,
)
define(
    "ConstantOfShape",
    axes=_FROM_NOTHING,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_fill,
)
define(
    "Range",
    axes=_FROM_NOTHING,
    cost=per_element(1),
    tolerance=Tolerance.ROUNDING,
    sample=_range,
)
define(
    "EyeLike",
    traits={Trait.READS_SHAPE_ONLY},
    axes=Fixed("its diagonal runs from the first axis to the second"),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_eye,
)

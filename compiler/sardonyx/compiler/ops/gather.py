"""Rows of the operators that pick and put elements by index."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import (
    AxisAttribute,
    AxisMap,
    Fixed,
    along,
    normalized,
    rank,
    without,
)
from sardonyx.compiler.ops.cost import moved, per_element
from sardonyx.compiler.ops.row import Trait, define, none
from sardonyx.compiler.ops.sample import REAL, Case, Random, any_axis, choose, dims, integers, ints
from sardonyx.compiler.ops.tolerance import Tolerance

_MOVES = Trait.DATA_MOVEMENT
_AXIS = AxisAttribute("axis")


def _gather_axes(node: ir.Node) -> AxisMap | Fixed:
    axis = normalized(Attributes(node).axis, rank(node.inputs[0]))
    indices = rank(node.inputs[1])
    if indices > 1:
        return Fixed("it replaces an axis by several")
    return without(node, [] if indices == 1 else [axis], (_AXIS,))


def _gather(random: Random) -> Case:
    shape = dims(random)
    axis = any_axis(random, len(shape))
    which = [(), (3,), (1,), (2, 2)][int(random.integers(4))]
    length = shape[axis]
    return Case((REAL(random, shape), integers(-length, length)(random, which)), {"axis": axis})


define(
    "Gather",
    traits={_MOVES},
    axes=_gather_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_gather,
)


def _gather_elements(random: Random) -> Case:
    shape = dims(random)
    axis = any_axis(random, len(shape))
    part = tuple(int(random.integers(1, length + 1)) for length in shape)
    indices = integers(0, shape[axis])(random, part)
    return Case((REAL(random, shape), indices), {"axis": axis})


define(
    "GatherElements",
    traits={_MOVES},
    axes=along(_AXIS, tied=2),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_gather_elements,
)


def _scatter_elements(random: Random) -> Case:
    shape = dims(random)
    axis = any_axis(random, len(shape))
    # Along the axis every index occurs once: the order of equal ones is not defined.
    order = np.argsort(random.random(shape), axis=axis)
    part = [slice(int(random.integers(1, length + 1))) for length in shape]
    indices = order[tuple(part)].astype(np.int64)
    attributes = {"axis": axis, **choose(random, {"reduction": [None, "add", "max"]})}
    return Case((REAL(random, shape), indices, REAL(random, indices.shape)), attributes)


define(
    "ScatterElements",
    axes=along(_AXIS, tied=3),
    cost=moved,
    tolerance=Tolerance.ACCUMULATING,
    sample=_scatter_elements,
)
define(
    "Scatter",
    axes=Fixed("a deprecated operator; importing turns it into ScatterElements"),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=none("a deprecated operator; importing turns it into ScatterElements"),
)


def _gather_nd(random: Random) -> Case:
    shape = dims(random, least=2)
    pairs = np.stack([random.integers(0, length, (3,)) for length in shape[:2]], axis=-1)
    return Case((REAL(random, shape), pairs))


def _scatter_nd(random: Random) -> Case:
    shape = dims(random, least=2)
    rows = random.permutation(shape[0])[:2].reshape(-1, 1)
    updates = REAL(random, (len(rows), *shape[1:]))
    return Case((REAL(random, shape), rows, updates), choose(random, {"reduction": [None, "add"]}))


define(
    "GatherND",
    traits={_MOVES},
    axes=Fixed("its indices number leading axes by position"),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_gather_nd,
)
define(
    "ScatterND",
    axes=Fixed("its indices number leading axes by position"),
    cost=moved,
    tolerance=Tolerance.ACCUMULATING,
    sample=_scatter_nd,
)


def _compress_axes(node: ir.Node) -> AxisMap | Fixed:
    if Attributes(node).axis is None:
        return Fixed("without an axis it reads the elements in their order in memory")
    return along(_AXIS)(node)


def _compress(random: Random) -> Case:
    shape = dims(random)
    axis = any_axis(random, len(shape))
    keep = np.asarray(random.random(shape[axis]) < 0.6)
    keep[0] = True
    return Case((REAL(random, shape), keep), {"axis": axis})


define(
    "Compress",
    traits={_MOVES},
    axes=_compress_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_compress,
)


def _one_hot_axes(node: ir.Node) -> AxisMap | Fixed:
    most = rank(node.outputs[0])
    axis = normalized(Attributes(node).axis, most)
    every = tuple(range(most))
    indices = every[:axis] + every[axis + 1 :]
    return AxisMap({0: indices, ~0: every}, lead=~0, parameters=(AxisAttribute("axis", ~0),))


def _one_hot(random: Random) -> Case:
    shape = dims(random, most=3)
    operands = (integers(0, 4)(random, shape), ints([4]), np.array([0, 1], np.float32))
    return Case(operands, {"axis": any_axis(random, len(shape) + 1)}, frozenset({1}))


define(
    "OneHot",
    axes=_one_hot_axes,
    cost=per_element(1),
    tolerance=Tolerance.EXACT,
    sample=_one_hot,
)


def _sparse(random: Random) -> Case:
    shape = dims(random)
    return Case((np.asarray(random.integers(0, 2, shape)).astype(np.float32),))


define(
    "NonZero",
    axes=Fixed("its output lists elements in their order in memory"),
    cost=per_element(1),
    tolerance=Tolerance.EXACT,
    sample=_sparse,
)
define(
    "Unique",
    axes=Fixed("its outputs list elements in their order in memory"),
    cost=per_element(20),
    tolerance=Tolerance.EXACT,
    sample=_sparse,
)

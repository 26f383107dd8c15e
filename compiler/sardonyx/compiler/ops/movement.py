"""Rows of the operators that copy, cut, join and repeat whole slices."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import (
    AxesAttribute,
    AxesOperand,
    AxisAttribute,
    AxisMap,
    ElementPerAxis,
    Fixed,
    Permutation,
    along,
    has_operand,
    rank,
)
from sardonyx.compiler.ops.cost import moved, per_element
from sardonyx.compiler.ops.row import Trait, define, none
from sardonyx.compiler.ops.sample import (
    REAL,
    Case,
    Random,
    any_axis,
    choose,
    dims,
    ints,
    some_axes,
)
from sardonyx.compiler.ops.tolerance import Tolerance

_MOVES = Trait.DATA_MOVEMENT


def _transpose_axes(node: ir.Node) -> AxisMap | Fixed:
    every = tuple(range(rank(node.inputs[0])))
    perm = Attributes(node).perm or tuple(reversed(every))
    return AxisMap({0: every, ~0: tuple(perm)}, parameters=(Permutation("perm"),))


def _transpose(random: Random) -> Case:
    shape = dims(random)
    perm = [int(axis) for axis in random.permutation(len(shape))]
    return Case((REAL(random, shape),), choose(random, {"perm": [None, perm, perm]}))


define(
    "Transpose",
    traits={_MOVES},
    axes=_transpose_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_transpose,
)


def _concat(random: Random) -> Case:
    shape = dims(random)
    axis = any_axis(random, len(shape))
    inputs = []
    for length in random.integers(1, 5, int(random.integers(1, 4))):
        part = list(shape)
        part[axis] = int(length)
        inputs.append(REAL(random, tuple(part)))
    return Case(tuple(inputs), {"axis": axis})


define(
    "Concat",
    traits={_MOVES},
    axes=along(AxisAttribute("axis"), tied=-1),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_concat,
)


def _split(random: Random) -> Case:
    parts = [int(x) for x in random.integers(1, 4, int(random.integers(1, 4)))]
    shape = list(dims(random))
    axis = any_axis(random, len(shape))
    shape[axis] = sum(parts)
    data = REAL(random, tuple(shape))
    if random.random() < 0.3:
        return Case((data,), {"axis": axis, "num_outputs": len(parts)}, outputs=len(parts))
    return Case((data, ints(parts)), {"axis": axis}, frozenset({1}), len(parts))


define(
    "Split",
    traits={_MOVES},
    axes=along(AxisAttribute("axis")),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_split,
)


def _slice_axes(node: ir.Node) -> AxisMap | Fixed:
    if has_operand(node, 3):
        return along(AxesOperand(3))(node)
    starts = node.inputs[1]
    count = starts.shape[0] if starts is not None and starts.shape is not None else None
    if not isinstance(count, int):
        return Fixed("it is not known how many axes it cuts")
    return along(AxesOperand(3, absent=tuple(range(count))))(node)


def _slice(random: Random) -> Case:
    shape = dims(random)
    axes = some_axes(random, len(shape))
    given: list[object] = [ints(axes)]
    if random.random() < 0.3:
        axes, given = list(range(len(axes))), [None]
    starts = [int(random.integers(0, max(1, shape[axis] - 1))) for axis in axes]
    ends = [int(random.integers(s + 1, shape[a] + 1)) for s, a in zip(starts, axes, strict=True)]
    steps = ints([int(random.integers(1, 3)) for _ in axes]) if random.random() < 0.5 else None
    operands = (REAL(random, shape), ints(starts), ints(ends), *given, steps)
    return Case(operands, constants=frozenset({1, 2, 3, 4}))  # type: ignore[arg-type]


define(
    "Slice",
    traits={_MOVES},
    axes=_slice_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_slice,
)


def _pad_axes(node: ir.Node) -> AxisMap | Fixed:
    return along(AxesOperand(3, absent=tuple(range(rank(node.inputs[0])))))(node)


def _pad(random: Random) -> Case:
    shape = dims(random, least=2)
    axes = some_axes(random, len(shape)) if random.random() < 0.5 else None
    count = len(axes) if axes is not None else len(shape)
    pads = [int(x) for x in random.integers(-1, 3, 2 * count)]
    lengths = [shape[a] for a in axes] if axes is not None else list(shape)
    pads = [p if lengths[i % count] > 2 else max(p, 0) for i, p in enumerate(pads)]
    fill = np.array(1.5, np.float32) if random.random() < 0.5 else None
    operands = (REAL(random, shape), ints(pads), fill, None if axes is None else ints(axes))
    return Case(operands, constants=frozenset({1, 2, 3}))


define(
    "Pad",
    traits={_MOVES},
    axes=_pad_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_pad,
)


def _expand_axes(node: ir.Node) -> AxisMap | Fixed:
    most = rank(node.outputs[0])
    lengths = node.inputs[1]
    if lengths is None or lengths.shape is None or lengths.shape[0] != most:
        return Fixed("its shape operand lists fewer axes than its output has")
    every = tuple(range(most))
    labels = {0: every[most - rank(node.inputs[0]) :], ~0: every}
    return AxisMap(labels, lead=~0, parameters=(ElementPerAxis(1, ~0),), is_broadcast=True)


def _expand(random: Random) -> Case:
    full = dims(random)
    part = full[int(random.integers(len(full))) :]
    part = tuple(1 if random.random() < 0.4 else length for length in part)
    is_constant = random.random() < 0.7
    return Case((REAL(random, part), ints(full)), constants=frozenset({1} if is_constant else ()))


define(
    "Expand",
    traits={_MOVES},
    axes=_expand_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_expand,
)


def _tile(random: Random) -> Case:
    shape = dims(random)
    repeats = ints([int(x) for x in random.integers(1, 3, len(shape))])
    is_constant = random.random() < 0.7
    return Case((REAL(random, shape), repeats), constants=frozenset({1} if is_constant else ()))


define(
    "Tile",
    traits={_MOVES},
    axes=along(ElementPerAxis(1)),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_tile,
)


def _crop_axes(node: ir.Node) -> AxisMap | Fixed:
    return along(AxesAttribute("axes", absent=tuple(range(rank(node.inputs[0])))))(node)


def _crop(random: Random) -> Case:
    shape = dims(random)
    axes = [axis % len(shape) for axis in some_axes(random, len(shape))]
    wanted = ints([int(x) for x in random.integers(1, 7, len(axes))])
    return Case((REAL(random, shape), wanted), {"axes": axes}, frozenset({1}))


define(
    "CenterCropPad",
    traits={_MOVES},
    axes=_crop_axes,
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_crop,
)


def _reverse(random: Random) -> Case:
    shape = dims(random, least=3)
    time = int(random.integers(2))
    lengths = random.integers(1, shape[time] + 1, shape[1 - time])
    attributes = {"time_axis": time, "batch_axis": 1 - time}
    return Case((REAL(random, shape), ints([int(x) for x in lengths])), attributes)


define(
    "ReverseSequence",
    traits={_MOVES},
    axes=along(first_fixed=2),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_reverse,
)


def _blocks(random: Random) -> Case:
    return Case((REAL(random, (2, 8, 4, 6)),), {"blocksize": 2})


for _name in ("DepthToSpace", "SpaceToDepth"):
    define(
        _name,
        traits={_MOVES},
        axes=Fixed("its layout is batch, channels, height, width"),
        cost=moved,
        tolerance=Tolerance.EXACT,
        sample=_blocks,
    )


def _resize_axes(node: ir.Node) -> AxisMap | Fixed:
    if Attributes(node).mode != "nearest":
        return Fixed("kernels interpolate only along the axes that it is given for")
    every = tuple(range(rank(node.inputs[0])))
    return along(AxesAttribute("axes", absent=every))(node)


def _resize(random: Random) -> Case:
    shape = dims(random, least=4, most=4)
    attributes = choose(random, {"mode": [None, "nearest", "linear"]})
    attributes["coordinate_transformation_mode"] = "asymmetric"
    scales = np.array([1, 1, random.choice([1, 2]), random.choice([2, 3])], np.float32)
    if random.random() < 0.5:
        attributes["axes"] = [2, 3]
        scales = scales[2:]
    return Case((REAL(random, shape), None, scales), attributes, frozenset({2}))


define(
    "Resize",
    axes=_resize_axes,
    cost=per_element(8),
    tolerance=Tolerance.ROUNDING,
    sample=_resize,
)
define(
    "Upsample",
    axes=Fixed("a deprecated operator; importing turns it into Resize"),
    cost=per_element(8),
    tolerance=Tolerance.ROUNDING,
    sample=none("a deprecated operator; importing turns it into Resize"),
)


def _trilu(random: Random) -> Case:
    shape = dims(random, least=2)
    offset = np.array(random.integers(-1, 2), np.int64)
    return Case((REAL(random, shape), offset), choose(random, {"upper": [None, 0]}), frozenset({1}))


define(
    "Trilu",
    traits={_MOVES, Trait.IDEMPOTENT},
    axes=along(last_fixed=2),
    cost=moved,
    tolerance=Tolerance.EXACT,
    sample=_trilu,
)

"""Rows of convolutions, pooling and what else slides over images."""

from __future__ import annotations

import numpy as np

from sardonyx.compiler.ops.axes import Fixed
from sardonyx.compiler.ops.cost import (
    contraction,
    per_element,
    per_operand_element,
    scattered_contraction,
    window,
)
from sardonyx.compiler.ops.row import define, none
from sardonyx.compiler.ops.sample import REAL, Case, Random, Sampler, choose, integers, ints
from sardonyx.compiler.ops.tolerance import Tolerance

_IMAGES = Fixed("its layout is batch, channels, then space")


def _images(random: Random, channels: int) -> tuple[int, ...]:
    space = [(11,), (7, 9), (5, 6, 7)][int(random.integers(3))]
    return (int(random.integers(1, 4)), channels, *space)


def _geometry(random: Random, spatial: int) -> dict[str, object]:
    """Draw strides, pads and dilations of a window of 3."""
    drawn: dict[str, object] = {
        "strides": [int(x) for x in random.integers(1, 3, spatial)],
        "dilations": [int(x) for x in random.integers(1, 3, spatial)],
    }
    if random.random() < 0.3:
        return {**drawn, "auto_pad": str(random.choice(["SAME_UPPER", "VALID"])), "dilations": None}
    return {**drawn, "pads": [int(x) for x in random.integers(0, 2, 2 * spatial)]}


def _weighted(*, is_transposed: bool) -> Sampler:
    def sample(random: Random) -> Case:
        group = int(random.choice([1, 1, 2]))
        inner, outer = 2 * group, 3 * group
        data = REAL(random, _images(random, inner))
        spatial = data.ndim - 2
        rows = (inner, outer // group) if is_transposed else (outer, inner // group)
        weight = REAL(random, (*rows, *[3] * spatial))
        bias = REAL(random, (outer,)) if random.random() < 0.5 else None
        attributes = {"group": group, **_geometry(random, spatial)}
        if is_transposed:
            attributes.pop("auto_pad", None)
        given = {name: value for name, value in attributes.items() if value is not None}
        return Case((data, weight, bias), given, frozenset({1, 2}))

    return sample


def _pooled(**choices: list[object]) -> Sampler:
    def sample(random: Random) -> Case:
        data = REAL(random, _images(random, 3))
        spatial = data.ndim - 2
        attributes = {**_geometry(random, spatial), **choose(random, choices)}
        attributes["kernel_shape"] = [3] * spatial
        given = {name: value for name, value in attributes.items() if value is not None}
        return Case((data,), given)

    return sample


def _global(random: Random) -> Case:
    return Case((REAL(random, _images(random, 3)),))


define(
    "Conv",
    axes=_IMAGES,
    cost=contraction(),
    tolerance=Tolerance.ACCUMULATING,
    sample=_weighted(is_transposed=False),
)
define(
    "ConvTranspose",
    axes=_IMAGES,
    cost=scattered_contraction,
    tolerance=Tolerance.ACCUMULATING,
    sample=_weighted(is_transposed=True),
)


def _conv_integer(random: Random) -> Case:
    data = integers(0, 200, np.uint8)(random, (2, 3, 6, 7))
    weight = integers(0, 200, np.uint8)(random, (4, 3, 3, 2))
    return Case((data, weight, np.array(7, np.uint8)))


define(
    "ConvInteger",
    axes=_IMAGES,
    cost=contraction(),
    tolerance=Tolerance.EXACT,
    sample=_conv_integer,
)


def _deform(random: Random) -> Case:
    offset = 0.3 * REAL(random, (2, 2 * 9, 4, 5))
    operands = (REAL(random, (2, 3, 6, 7)), REAL(random, (4, 3, 3, 3)), offset)
    return Case(operands, {"kernel_shape": [3, 3], "pads": [0, 0, 0, 0]})


define(
    "DeformConv",
    axes=_IMAGES,
    cost=contraction(),
    tolerance=Tolerance.ACCUMULATING,
    sample=_deform,
)
for _name, _tolerance, _choices in (
    ("AveragePool", Tolerance.ACCUMULATING, {"count_include_pad": [None, 1]}),
    ("LpPool", Tolerance.ACCUMULATING, {"p": [None, 1]}),
    ("MaxPool", Tolerance.EXACT, {}),
):
    define(
        _name,
        axes=_IMAGES,
        cost=window,
        tolerance=_tolerance,
        sample=_pooled(**_choices),  # type: ignore[arg-type]
    )
for _name, _tolerance in (
    ("GlobalAveragePool", Tolerance.ACCUMULATING),
    ("GlobalLpPool", Tolerance.ACCUMULATING),
    ("GlobalMaxPool", Tolerance.EXACT),
):
    define(
        _name,
        axes=_IMAGES,
        cost=per_operand_element(1),
        tolerance=_tolerance,
        sample=_global,
    )


def _lrn(random: Random) -> Case:
    return Case((REAL(random, (2, 7, 3, 4)),), {"size": int(random.choice([3, 5]))})


define(
    "LRN",
    axes=_IMAGES,
    cost=per_element(20),
    tolerance=Tolerance.TRANSCENDENTAL,
    sample=_lrn,
)


def _unpool(random: Random) -> Case:
    positions = ints([5, 7, 13, 15]).reshape(1, 1, 2, 2)
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return Case((REAL(random, (1, 1, 2, 2)), positions), attributes)


define(
    "MaxUnpool",
    axes=Fixed("its indices count elements in their order in memory"),
    cost=per_element(1),
    tolerance=Tolerance.EXACT,
    sample=_unpool,
)


def _col2im(random: Random) -> Case:
    return Case(
        (REAL(random, (2, 3 * 4, 9)), ints([4, 4]), ints([2, 2])), constants=frozenset({1, 2})
    )


define(
    "Col2Im",
    axes=_IMAGES,
    cost=per_operand_element(1),
    tolerance=Tolerance.ACCUMULATING,
    sample=_col2im,
)


def _grid(random: Random) -> Case:
    grid = 0.3 * REAL(random, (2, 4, 5, 2))
    return Case((REAL(random, (2, 3, 6, 7)), grid), choose(random, {"align_corners": [None, 1]}))


define(
    "GridSample",
    axes=_IMAGES,
    cost=per_element(16),
    tolerance=Tolerance.ACCUMULATING,
    sample=_grid,
)


def _affine(random: Random) -> Case:
    return Case((REAL(random, (2, 2, 3)), ints([2, 3, 5, 6])), constants=frozenset({1}))


define(
    "AffineGrid",
    axes=_IMAGES,
    cost=per_element(6),
    tolerance=Tolerance.ACCUMULATING,
    sample=_affine,
)


def _rois(random: Random) -> Case:
    boxes = np.array([[0, 0, 4, 5], [1, 1, 6, 3]], np.float32)
    attributes = {"output_height": 3, "output_width": 2, "sampling_ratio": 2}
    return Case((REAL(random, (2, 3, 8, 9)), boxes, ints([1, 0])), attributes)


define(
    "RoiAlign",
    axes=_IMAGES,
    cost=per_element(16),
    tolerance=Tolerance.ACCUMULATING,
    sample=_rois,
)
define(
    "MaxRoiPool",
    axes=_IMAGES,
    cost=per_element(16),
    tolerance=Tolerance.EXACT,
    sample=none("its windows are rounded from boxes; the node corpus of ONNX covers it"),
)
define(
    "NonMaxSuppression",
    axes=Fixed("its output lists boxes by number"),
    cost=none("it depends on how many boxes overlap"),
    tolerance=Tolerance.EXACT,
    sample=none("small roundings change which boxes it keeps"),
)

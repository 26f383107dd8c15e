"""Rows of the normalisations."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import AxisMap, Fixed, along, normalized, rank
from sardonyx.compiler.ops.cost import per_element
from sardonyx.compiler.ops.row import define
from sardonyx.compiler.ops.sample import POSITIVE, REAL, Case, Random, Sampler, dims
from sardonyx.compiler.ops.tolerance import Tolerance

_CHANNELS = Fixed("its channels are axis 1")


def _trailing_axes(node: ir.Node) -> AxisMap | Fixed:
    """It normalises over the axes from `axis` on, which its scale shares."""
    count = rank(node.inputs[0])
    axis = Attributes(node).axis
    # SimplifiedLayerNormalization has no schema that would give the default.
    first = normalized(-1 if axis is None else axis, count)
    return along(last_fixed=count - first)(node)


def _trailing(operands: int, outputs: int) -> Sampler:
    def sample(random: Random) -> Case:
        shape = dims(random)
        axis = int(random.integers(-len(shape), len(shape)))
        vectors = [REAL(random, shape[axis:]) for _ in range(operands - 1)]
        wanted = int(random.choice([1, outputs]))
        return Case((REAL(random, shape), *vectors), {"axis": axis}, outputs=wanted)

    return sample


def _per_channel(statistics: int) -> Sampler:
    def sample(random: Random) -> Case:
        shape = (2, 4, 3, 5)[: int(random.integers(3, 5))]
        vectors = [REAL(random, shape[1:2]) for _ in range(2)]
        measured = [POSITIVE(random, shape[1:2]) for _ in range(statistics)]
        return Case((REAL(random, shape), *vectors, *measured))

    return sample


def _groups(random: Random) -> Case:
    vectors = [REAL(random, (6,)) for _ in range(2)]
    return Case((REAL(random, (2, 6, 3, 5)), *vectors), {"num_groups": int(random.choice([2, 3]))})


define(
    "BatchNormalization",
    axes=_CHANNELS,
    cost=per_element(2),
    # One multiply and add for each element, from statistics that are operands.
    tolerance=Tolerance.ROUNDING,
    sample=_per_channel(2),
)
define(
    "InstanceNormalization",
    axes=_CHANNELS,
    cost=per_element(6),
    tolerance=Tolerance.ACCUMULATING,
    sample=_per_channel(0),
)
define(
    "GroupNormalization",
    axes=_CHANNELS,
    cost=per_element(6),
    tolerance=Tolerance.ACCUMULATING,
    sample=_groups,
)
define(
    "LayerNormalization",
    axes=_trailing_axes,
    cost=per_element(6),
    tolerance=Tolerance.ACCUMULATING,
    sample=_trailing(3, 3),
)
define(
    "RMSNormalization",
    axes=_trailing_axes,
    cost=per_element(4),
    tolerance=Tolerance.ACCUMULATING,
    sample=_trailing(2, 1),
)
# ONNX Runtime's own name for it, which it registers in the standard domain.
define(
    "SimplifiedLayerNormalization",
    axes=_trailing_axes,
    cost=per_element(4),
    tolerance=Tolerance.ACCUMULATING,
    sample=_trailing(2, 1),
)

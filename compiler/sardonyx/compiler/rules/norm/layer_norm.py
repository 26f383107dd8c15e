"""`(x - mean(x)) / sqrt(variance(x) + epsilon)` is LayerNormalization with a scale of ones.

The scale and bias that follow go into it by `norm_affine`, casts around it by `norm_cast`. A norm
over other axes than the last, such as the channels of an image, is one between two Transposes. A
norm over the pixels of each channel is InstanceNormalization, whose kernel is twice as fast.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.norm.spelling import (
    can_normalize,
    correction,
    is_number,
    mean,
    ones,
    over_last_axes,
    over_root,
    over_root_and_epsilon,
    reduced,
    square,
)


def _spelled_out(op: PatternBuilder) -> Pattern:
    centred = op.Sub("x", mean(op, "x", "axes"), output="d")
    squares = mean(op, square(op, "d"), "axes")
    return any_of(
        over_root(op, centred, squares),
        over_root(op, op.Sub("x", mean(op, "x", "axes", "u")), _less_square_of_mean(op)),
        over_root_and_epsilon(op, squares),
    )


def _less_square_of_mean(op: PatternBuilder) -> Pattern:
    """Match the mean of squares less the square of the mean, kept from falling below 0 or not."""
    variance = op.Sub(mean(op, square(op, "x"), "axes"), square(op, "u"))
    return any_of(variance, op.Relu(variance), op.Max(variance, 0), op.Clip(variance, 0))


def _fuse(op: Builder, m: Match) -> ir.Value:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) is LayerNormalization(x, 1)."""
    axes = reduced(m.x, m.axes)
    assert not isinstance(axes, No)
    factor = correction(m)
    epsilon = m.epsilon.item() / factor
    made: ir.Value
    if _are_pixels(m.x, axes):
        scale = ones(m.x, [1], factor**-0.5)
        made = op.InstanceNormalization(m.x, scale, np.zeros_like(scale), epsilon=epsilon)
        return made
    x, back = over_last_axes(op, m.x, axes)
    scale = ones(m.x, axes, factor**-0.5)
    made = op.LayerNormalization(x, scale, axis=-len(axes), epsilon=epsilon)
    return op.Transpose(made, perm=back) if back else made


def _are_pixels(x: ir.Value, axes: list[int]) -> bool:
    """Say whether a norm is over all axes of an image but batch and channels."""
    assert x.shape is not None
    rank = len(x.shape)
    is_known = rank > 3 and isinstance(x.shape[1], int) and x.dtype == ir.DataType.FLOAT
    return is_known and axes == list(range(2, rank))


def _can_fuse(m: Match) -> bool | No:
    return is_number(m) and can_normalize(m.x, reduced(m.x, m.axes))


LAYER_NORM = rule(
    "layer_norm",
    _spelled_out,
    _fuse,
    _can_fuse,
    keeps_shared=True,  # What else reads the mean does not make the norm another.
)

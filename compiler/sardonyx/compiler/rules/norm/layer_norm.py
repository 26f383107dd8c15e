"""`(x - mean(x)) / sqrt(variance(x) + epsilon)` is LayerNormalization with a scale of ones.

The scale and bias that follow go into it by `norm_affine`, casts around it by `norm_cast`. A norm
over other axes than the last, such as the channels of an image, is one between two Transposes.
"""

from __future__ import annotations

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


def _fuse(op: Builder, m: Match) -> ir.Value | No:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) is LayerNormalization(x, 1)."""
    axes = reduced(m.x, m.axes)
    if isinstance(axes, No):
        return axes
    x, back = over_last_axes(op, m.x, axes)
    factor = correction(m)
    scale, epsilon = ones(m.x, axes, factor**-0.5), m.epsilon.item() / factor
    made: ir.Value = op.LayerNormalization(x, scale, axis=-len(axes), epsilon=epsilon)
    return op.Transpose(made, perm=back) if back else made


def _can_fuse(m: Match) -> bool | No:
    return is_number(m) and can_normalize(m.x, reduced(m.x, m.axes))


LAYER_NORM = rule(
    "layer_norm",
    _spelled_out,
    _fuse,
    _can_fuse,
    keeps_shared=True,  # What else reads the mean does not make the norm another.
)

"""`x / sqrt(mean(x^2) + epsilon)` is RMSNormalization with a scale of ones.

The scale that follows goes into it by `norm_affine`, casts around it by `norm_cast`.
"""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.norm.spelling import (
    can_normalize,
    correction,
    is_number,
    mean,
    ones,
    over_root,
    over_root_and_epsilon,
    reduced,
    square,
)


def _fuse(op: Builder, m: Match) -> ir.Value:
    """x / sqrt(mean(x^2) + epsilon) is RMSNormalization(x, 1)."""
    axes = reduced(m.x, m.axes)
    assert not isinstance(axes, No)
    factor = correction(m)
    scale, epsilon = ones(m.x, axes, factor**-0.5), m.epsilon.item() / factor
    made: ir.Value = op.RMSNormalization(m.x, scale, axis=-len(axes), epsilon=epsilon)
    return made


def _can_fuse(m: Match) -> bool | No:
    axes = reduced(m.x, m.axes)
    verdict = is_number(m) and can_normalize(m.x, axes)
    if not verdict:
        return verdict
    assert not isinstance(axes, No)
    rank = len(m.x.shape)
    is_last = axes == list(range(rank - len(axes), rank))
    return is_last or no(f"the mean is over axes {axes}, not the last of {rank}", m.x)


def _spelled_out(op: PatternBuilder) -> Pattern:
    squares = mean(op, square(op, "x"), "axes")
    return any_of(over_root(op, "x", squares), over_root_and_epsilon(op, squares))


RMS_NORM = rule("rms_norm", _spelled_out, _fuse, _can_fuse)


def _standard(op: Builder, m: Match) -> ir.Value:
    """SimplifiedLayerNormalization is ONNX Runtime's own name of RMSNormalization."""
    made: ir.Value = op.RMSNormalization(m.x, m.scale, attributes=m.norm)  # The same defaults.
    return made


SIMPLIFIED_LAYER_NORM = rule(
    "simplified_layer_norm",
    lambda op: op.SimplifiedLayerNormalization("x", "scale", attributes="norm"),
    _standard,
)

"""A scale before the division by a root is one after it, where norms are looked for.

`self.scale * (x - mean) / sqrt(variance + epsilon)` scales first, as Python reads it.
"""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, any_of, const, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.norm.spelling import inverse_root, mean, root_of, square, stabilised


def _scaled_first(op: PatternBuilder) -> Pattern:
    scaled = op.Mul("d", const("scale"))
    variance = stabilised(op, mean(op, square(op, "d"), None))
    return any_of(
        op.Div(scaled, root_of(op, variance, "over")),
        op.Mul(scaled, inverse_root(op, variance, "inverse")),
    )


def _scale_last(op: Builder, m: Match) -> ir.Value:
    """(d * scale) / sqrt(mean(d^2) + epsilon) is (d / sqrt(mean(d^2) + epsilon)) * scale."""
    normed = op.Div(m.d, m.over) if m.inverse is None else op.Mul(m.d, m.inverse)
    made: ir.Value = op.Mul(normed, m.value("scale"))
    return made


SCALE_OF_NORM = rule("scale_of_norm", _scaled_first, _scale_last, keeps_shared=True)

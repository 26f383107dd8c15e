"""An instance norm of groups of channels, folded into one axis, is GroupNormalization.

This is how PyTorch's exporters write it below opset 21. The scale and bias that follow go into it
by `norm_affine`.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, no, rule
from sardonyx.compiler.rules.norm.spelling import NORMED


def _fuse(op: Builder, m: Match) -> ir.Value:
    """Reshape, InstanceNormalization of each group, Reshape back is GroupNormalization."""
    groups = m.folded.shape[1]
    repeats = m.x.shape[1] // groups
    scale, bias = np.repeat(m.scale, repeats), np.repeat(m.bias, repeats)
    made: ir.Value = op.GroupNormalization(
        m.x, scale, bias, num_groups=groups, epsilon=m.norm.epsilon
    )
    return made


def _can_fuse(m: Match) -> bool | No:
    x, folded = m.x, m.folded
    if x.dtype not in NORMED:
        return no("norms keep their statistics in single precision", x)
    if x.shape is None or len(x.shape) < 3 or not isinstance(x.shape[1], int):
        return no("it is not known to be a batch of channels", x)
    assert folded.shape is not None
    if len(folded.shape) != 3 or not isinstance(folded.shape[1], int):
        return no("the channels are not folded into groups", folded)
    if x.shape[1] % folded.shape[1]:
        return no(f"{x.shape[1]} channels are no {folded.shape[1]} groups", x)
    if x.shape[0] != folded.shape[0]:
        return no("the batch is not known to stay what it is", folded)
    return _is_unfolded(m)


def _is_unfolded(m: Match) -> bool | No:
    """Demand that the last Reshape gives the input's shape again."""
    result = m.root.outputs[0]
    return result.shape == m.x.shape or no(
        "the result is not known to have the shape of the input", result
    )


GROUP_NORM = rule(
    "group_norm",
    lambda op: op.Reshape(
        op.InstanceNormalization(
            op.Reshape("x", const(), output="folded"),
            const("scale"),
            const("bias"),
            attributes="norm",
        ),
        "shape",
    ),
    _fuse,
    _can_fuse,
)

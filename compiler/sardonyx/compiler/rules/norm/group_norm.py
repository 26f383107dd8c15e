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
from sardonyx.compiler.rules.producers import made_by


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
    if folded.shape is None or len(folded.shape) != 3 or not isinstance(folded.shape[1], int):
        return no("the channels are not folded into groups", folded)
    if x.shape[1] % folded.shape[1]:
        return no(f"{x.shape[1]} channels are no {folded.shape[1]} groups", x)
    if x.shape[0] is None or x.shape[0] != folded.shape[0]:
        return no("the batch is not known to stay what it is", folded)
    return _is_unfolded(m)


def _is_unfolded(m: Match) -> bool | No:
    """Demand that the last Reshape gives the input's shape again."""
    producer = made_by(m.shape, "Shape")
    if producer is not None and producer.inputs[0] is m.x:
        whole = not producer.attributes.get_int("start", 0) and "end" not in producer.attributes
        return whole or no("the result is not known to have the shape of the input", m.shape)
    result = m.root.outputs[0].shape
    is_known = result is not None and not result.has_unknown_dim()
    if is_known and result == m.x.shape:
        return True
    return no("the result is not known to have the shape of the input", m.root.outputs[0])


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

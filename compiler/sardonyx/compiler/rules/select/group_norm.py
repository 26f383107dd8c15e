"""Group normalisation by the kernel that ONNX Runtime's CPU provider has for it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule


def _by_instance_norm(op: Builder, m: Match) -> ir.Value:
    """GroupNormalization is InstanceNormalization of one long channel for each group.

    ONNX Runtime has no CPU kernel for GroupNormalization and runs the body that ONNX defines for
    it, a dozen operators that each read the whole tensor. InstanceNormalization is one kernel.
    """
    groups = m.norm.num_groups
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    folded = op.Reshape(m.x, np.array([0, groups, -1], dtype=np.int64))
    normal = op.InstanceNormalization(folded, ones, zeros, epsilon=m.norm.epsilon)
    unfolded = op.Reshape(normal, _shape(op, m.x))
    outer = np.arange(1, len(m.x.shape) - 1, dtype=np.int64)
    scale, bias = op.Unsqueeze(m.scale, outer), op.Unsqueeze(m.bias, outer)
    made: ir.Value = op.Add(op.Mul(unfolded, scale), bias)
    return made


def _shape(op: Builder, x: ir.Value) -> ir.Value:
    """Return the shape to go back to; the batch is that of the folded tensor."""
    assert x.shape is not None
    dims = [d if isinstance(d, int) else -1 for d in x.shape[1:]]
    if dims.count(-1) > 1:
        computed: ir.Value = op.Shape(x)
        return computed
    return op.constant(np.array([0, *dims], dtype=np.int64))


def _is_plain(m: Match) -> bool | No:
    if m.x.dtype != ir.DataType.FLOAT:
        return no("it is not float32", m.x)
    if m.x.shape is None or len(m.x.shape) < 3:
        return no("it has no known rank of 3 or more", m.x)
    channels = m.x.shape[1]
    if not isinstance(channels, int):
        return no("its number of channels is not known", m.x)
    is_vector = all(value.shape == [channels] for value in (m.scale, m.bias))
    return is_vector or no("its scale and bias are not known to be of each channel", m.x)


GROUP_NORM_BY_INSTANCE_NORM = rule(
    "group_norm_by_instance_norm",
    lambda op: op.GroupNormalization("x", "scale", "bias", attributes="norm"),
    _by_instance_norm,
    _is_plain,
)

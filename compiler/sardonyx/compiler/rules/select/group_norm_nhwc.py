"""Group normalisation of images, with or without SiLU after it, by ONNX Runtime's CUDA kernel.

The kernel wants the channels last. The Transposes around it go away where convolutions next to it
have their channels last as well.

Like ONNX's function, it computes the variance as mean of squares less squared mean.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rewrite.pattern import Operator, PatternBuilder

_FLOATS = {ir.DataType.FLOAT, ir.DataType.FLOAT16}
_MOST = 512
"""Channels of a group; with more the kernel fails when it is run."""


def _norm(op: PatternBuilder) -> Operator:
    return op.GroupNormalization(
        "x", const("scale"), const("bias"), attributes="norm", output="normal"
    )


def _fuse(op: Builder, m: Match) -> ir.Value:
    """GroupNormalization is Transpose, GroupNorm with its activation, Transpose."""
    images = op.Transpose(m.x, perm=[0, 2, 3, 1])
    made = op.call(
        "GroupNorm",
        images,
        m.scale.astype(np.float32),
        m.bias.astype(np.float32),
        domain="com.microsoft",
        activation=int(m.root.op_type == "Mul"),
        epsilon=m.norm.epsilon,
        groups=m.norm.num_groups,
    )
    result: ir.Value = op.Transpose(made, perm=[0, 3, 1, 2])
    return result


def _fits(m: Match) -> bool | No:
    if m.x.dtype not in _FLOATS:
        return no("the kernel is for float32 and float16", m.x)
    if m.x.shape is None or len(m.x.shape) != 4 or not isinstance(m.x.shape[1], int):
        return no("it is not known to be a batch of images", m.x)
    if m.root.op_type != "Mul" and _is_before_silu(m.normal):
        return no("its SiLU goes into the kernel as well")
    channels = m.x.shape[1] // m.norm.num_groups
    if channels % 2 != 0:
        return no(f"the kernel takes pairs of channels, a group has {channels}")
    return channels <= _MOST or no(
        f"the kernel takes {_MOST} channels of a group at most, this has {channels}"
    )


def _is_before_silu(normal: ir.Value) -> bool:
    """Say whether nothing but a SiLU reads a value."""
    readers = {reader.op_type: reader for reader, _ in normal.uses()}
    if normal.is_graph_output() or len(normal.uses()) != 2 or set(readers) != {"Sigmoid", "Mul"}:
        return False
    gate = readers["Sigmoid"].outputs[0]
    return [reader for reader, _ in gate.uses()] == [readers["Mul"]] and not gate.is_graph_output()


GROUP_NORM_NHWC = rule(
    "group_norm_nhwc",
    lambda op: any_of(op.Mul(_norm(op), op.Sigmoid("normal")), _norm(op)),
    _fuse,
    _fits,
)

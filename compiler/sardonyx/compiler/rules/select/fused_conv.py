"""Convolution, then Relu, with or without a sum between: one FusedConv of ONNX Runtime.

For targets that choose it. On the CPU ONNX Runtime makes this fusion itself, in its own layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, maybe, no, rule
from sardonyx.compiler.rewrite.pattern import Operator, PatternBuilder


def _conv(op: PatternBuilder) -> Operator:
    return op.Conv("x", "weight", maybe("bias"), attributes="conv", output="convolved")


def _fuse(op: Builder, m: Match) -> ir.Value:
    """Relu(Conv(x, w, b) + z) is FusedConv(x, w, b, z)."""
    made: ir.Value = op.call(
        "FusedConv",
        m.x,
        m.weight,
        _bias(m),
        _summand(m),
        domain="com.microsoft",
        activation="Relu",
        **_attributes(m),
    )
    return made


def _summand(m: Match) -> ir.Value | None:
    return m.z if "z" in m.names else None


def _bias(m: Match) -> Any:
    """Return the bias; the kernel wants one where there is a sum."""
    if m.bias is not None or _summand(m) is None:
        return m.bias
    return np.zeros(m.weight.shape[0], m.weight.dtype.numpy())


def _attributes(m: Match) -> dict[str, Any]:
    """Return all attributes of a convolution, so that all calls have the same."""
    spatial = len(m.weight.shape) - 2
    found = {
        "dilations": m.conv.dilations or (1,) * spatial,
        "group": m.conv.group,
        "kernel_shape": m.weight.shape.numpy()[2:],
        "strides": m.conv.strides or (1,) * spatial,
    }
    if m.conv.auto_pad == "NOTSET":
        return {**found, "pads": m.conv.pads or (0,) * 2 * spatial}
    return {**found, "auto_pad": m.conv.auto_pad}


def _can_fuse(m: Match) -> bool | No:
    if m.x.dtype != ir.DataType.FLOAT:
        return no("the kernel computes in single precision", m.x)
    shape = m.weight.shape
    if shape is None or len(shape) != 4 or not all(isinstance(dim, int) for dim in shape):
        return no("the weight is not one of a convolution of images", m.weight)
    z = _summand(m)
    return z is None or _is_same_shape(z, m.convolved)


def _is_same_shape(z: ir.Value, convolved: ir.Value) -> bool | No:
    if z.shape is not None and z.shape == convolved.shape:
        return True
    return no("the sum is not known to be of two values of one shape", z)


CONV_RELU = rule("conv_relu", lambda op: op.Relu(_conv(op)), _fuse, _can_fuse)

CONV_ADD_RELU = rule("conv_add_relu", lambda op: op.Relu(op.Add(_conv(op), "z")), _fuse, _can_fuse)

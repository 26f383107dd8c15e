"""Depthwise convolution of sequences as one of images one pixel high.

ONNX Runtime has a direct kernel for depthwise convolutions, in its blocked layout, of images only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, maybe, no, rule

_HEIGHT = np.array([2], dtype=np.int64)
_BLOCK = 4
"""The blocked layout takes a multiple of so many channels."""


def _as_image(op: Builder, m: Match) -> ir.Value:
    """A convolution of [n, c, length] is one of [n, c, 1, length]."""
    image = op.Unsqueeze(m.x, _HEIGHT)
    weight = m.weight[:, :, None, :]
    made = op.Conv(image, weight, m.value("bias"), **_attributes(m))
    return op.Squeeze(made, _HEIGHT)  # type: ignore[no-any-return]


def _attributes(m: Match) -> dict[str, Any]:
    """Return the attributes with the axis of length 1 put in."""
    given = m.conv
    found = {
        "group": given.group,
        "auto_pad": given.auto_pad,
        "strides": (1, *(given.strides or (1,))),
        "dilations": (1, *(given.dilations or (1,))),
        "kernel_shape": (1, m.weight.shape[2]),
    }
    if given.auto_pad == "NOTSET":
        start, end = given.pads or (0, 0)
        found["pads"] = (0, start, 0, end)
    return found


def _is_depthwise(m: Match) -> bool | No:
    weight = m.value("weight")
    assert weight is not None
    if m.x.dtype != ir.DataType.FLOAT:
        return no("the kernel computes in single precision", m.x)
    shape = weight.shape.numpy()  # type: ignore[union-attr]
    if len(shape) != 3:
        return no("it is no convolution of sequences", weight)
    channels, inputs, _ = shape
    if inputs != 1 or channels != m.conv.group:
        return no("it is not depthwise: each output reads more than one channel", weight)
    if channels % _BLOCK:
        return no(f"{channels} channels are no multiple of {_BLOCK}", weight)
    return True


DEPTHWISE_CONV1D = rule(
    "depthwise_conv1d",
    lambda op: op.Conv("x", const("weight"), maybe(const("bias")), attributes="conv"),
    _as_image,
    _is_depthwise,
)

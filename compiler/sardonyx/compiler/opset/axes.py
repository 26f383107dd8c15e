"""Attributes that became operands: axes, split sizes, slices, pads, bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.opset.step import Adapter, Step

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def axes_to_operand(step: Step) -> ir.Value:
    """Squeeze, Unsqueeze and the reductions; an empty list means the same as none."""
    attr = step.node.attributes.get("axes")
    is_empty = attr is not None and not attr.is_ref() and not attr.as_ints()
    axes = None if is_empty else step.ints_operand("axes")
    return step.renewed(step.needed(0), axes, drop=["axes"]).outputs[0]


def split_to_operand(step: Step) -> Sequence[ir.Value]:
    """Split 13: the sizes are an operand."""
    return step.renewed(step.needed(0), step.ints_operand("split"), drop=["split"]).outputs


def split_count(step: Step) -> Sequence[ir.Value]:
    """Split 18: without sizes, the number of parts must be said."""
    count = None if step.operand(1) is not None else len(step.node.outputs)
    return step.renewed(*step.node.inputs, num_outputs=count).outputs


def slice_to_operands(step: Step) -> ir.Value:
    """Slice 10: starts, ends and axes are operands."""
    names = ("starts", "ends", "axes")
    operands = [step.ints_operand(name) for name in names]
    return step.renewed(step.needed(0), *operands, drop=names).outputs[0]


def topk_to_operand(step: Step) -> Sequence[ir.Value]:
    """TopK 10: k is an operand of shape [1]."""
    k = step.constant([step.attribute("k")], np.int64)
    return step.renewed(step.needed(0), k, drop=["k"]).outputs


def pad_to_operands(step: Step) -> ir.Value:
    """Pad 11: the pads and the constant are operands."""
    data = step.needed(0)
    fill = step.attribute("value", 0.0)
    constant = step.scalar_like(fill, data) if fill else None
    pads = step.ints_operand("pads")
    return step.renewed(data, pads, constant, drop=["pads", "value"]).outputs[0]


def clip_to_operands(step: Step) -> ir.Value:
    """Clip 11: the bounds are operands."""
    data = step.needed(0)
    bounds: list[ir.Value | None] = []
    for name, none in (("min", -_FLOAT32_MAX), ("max", _FLOAT32_MAX)):
        bound = step.attribute(name, none)
        bounds.append(None if bound == none else step.scalar_like(bound, data))
    return step.renewed(data, *bounds, drop=["min", "max"]).outputs[0]


def dft_axis_to_operand(step: Step) -> ir.Value:
    """DFT 20: the axis is a scalar operand, and its default moved from 1 to -2."""
    axis = step.constant(step.attribute("axis", 1), np.int64)
    return step.renewed(step.needed(0), step.operand(1), axis, drop=["axis"]).outputs[0]


def upsample_named_scales(step: Step) -> ir.Value:
    """Upsample 7: one list of scales for all four axes of an image."""
    scales = [1.0, 1.0, step.attribute("height_scale"), step.attribute("width_scale")]
    drop = ["height_scale", "width_scale"]
    return step.renewed(step.needed(0), drop=drop, scales=scales).outputs[0]


def upsample_scales_to_operand(step: Step) -> ir.Value:
    """Upsample 9: the scales are an operand."""
    scales = step.constant(step.attribute("scales"), np.float32)
    return step.renewed(step.needed(0), scales, drop=["scales"]).outputs[0]


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")

ADAPTERS: dict[tuple[str, int], Adapter] = {
    ("Squeeze", 13): axes_to_operand,
    ("Unsqueeze", 13): axes_to_operand,
    ("ReduceSum", 13): axes_to_operand,
    **{(f"Reduce{name}", 18): axes_to_operand for name in _REDUCTIONS},
    ("Split", 13): split_to_operand,
    ("Split", 18): split_count,
    ("Slice", 10): slice_to_operands,
    ("TopK", 10): topk_to_operand,
    ("Pad", 11): pad_to_operands,
    ("Clip", 11): clip_to_operands,
    ("DFT", 20): dft_axis_to_operand,
    ("Upsample", 7): upsample_named_scales,
    ("Upsample", 9): upsample_scales_to_operand,
}

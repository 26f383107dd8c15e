"""Operators of opset 6 and older that broadcast by an `axis` attribute, not by NumPy's rule."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.opset.step import Adapter, Step


def align_second_operand(step: Step) -> ir.Value:
    """Opset 7: the axes of the second operand are lined up with the last ones of the first."""
    a, b = step.needed(0), step.needed(1)
    axis = step.attribute("axis")
    if step.attribute("broadcast", 0) and axis is not None:
        b = _trailing_axes(step, b, _rank(step, a) - int(axis) % max(_rank(step, a), 1))
    return step.renewed(a, b, drop=["axis", "broadcast"]).outputs[0]


def slope_per_channel(step: Step) -> ir.Value:
    """PRelu 7: a slope per channel is lined up with axis 1, not with the last axis."""
    x, slope = step.needed(0), step.needed(1)
    dims = step.dims(slope)
    is_shared = dims is not None and all(d == 1 for d in dims)
    if not is_shared and _rank(step, x) > 2:
        slope = _trailing_axes(step, slope, _rank(step, x) - 1)
    return step.renewed(x, slope).outputs[0]


def drop_broadcast(step: Step) -> ir.Value:
    """Gemm 7: C always broadcasts."""
    return step.renewed(*step.node.inputs, drop=["broadcast"]).outputs[0]


def _trailing_axes(step: Step, value: ir.Value, rank: int) -> ir.Value:
    """Give a value axes of size 1 at its end, up to a rank."""
    known = _rank(step, value)
    if rank <= known:
        return value
    axes = step.constant(list(range(known, rank)), np.int64)
    return step.op("Unsqueeze", value, axes, version=13)


def _rank(step: Step, value: ir.Value) -> int:
    dims = step.dims(value)
    if dims is None:
        raise step.refusal("it broadcasts along an axis and the rank of an operand is not known")
    return len(dims)


_BINARY = ["Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"]

ADAPTERS: dict[tuple[str, int], Adapter] = {
    **{(name, 7): align_second_operand for name in _BINARY},
    ("PRelu", 7): slope_per_channel,
    ("Gemm", 7): drop_broadcast,
}

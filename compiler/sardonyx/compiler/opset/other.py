"""Operators that were renamed, whose defaults or mode names changed, and Scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.opset.step import Adapter, Step

GRID_SAMPLE_MODES = {"bilinear": "linear", "bicubic": "cubic"}


def scatter_elements(step: Step) -> ir.Value:
    """Scatter 11: now called ScatterElements."""
    return step.op("ScatterElements", *step.node.inputs, attributes=step.kept())


def roi_align_half_pixel(step: Step) -> ir.Value:
    """RoiAlign 16: the default of the new attribute is not what the operator did before."""
    mode = "output_half_pixel"
    return step.renewed(*step.node.inputs, coordinate_transformation_mode=mode).outputs[0]


def grid_sample_modes(step: Step) -> ir.Value:
    """GridSample 20: modes have names for any number of axes."""
    mode = step.attribute("mode", "bilinear")
    renamed = GRID_SAMPLE_MODES.get(mode, mode)
    return step.renewed(*step.node.inputs, mode=renamed).outputs[0]


def erf_of_floats(step: Step) -> ir.Value:
    """Erf 13: only floating point is left."""
    x = step.needed(0)
    dtype = step.dtype(x)
    if dtype is None or dtype.is_floating_point():
        return step.renewed(x).outputs[0]
    wide = step.op("Cast", x, to=int(ir.DataType.DOUBLE))
    return step.op("Cast", step.renewed(wide).outputs[0], to=int(dtype))


def forget_output_sequence(step: Step) -> Sequence[ir.Value]:
    """RNN, GRU, LSTM 7: whether the sequence is wanted shows in whether anything reads it."""
    return step.renewed(*step.node.inputs, drop=["output_sequence"]).outputs


def scan_over_batch(step: Step) -> Sequence[ir.Value]:
    """Scan 9 has no batch axis: an outer Scan goes over it, the old body is in an inner one."""
    if step.operand(0) is not None:
        raise step.refusal("its sequences have different lengths (sequence_lens)")
    body: ir.Graph = step.attribute("body")
    count = int(step.attribute("num_scan_inputs"))
    states = len(step.node.inputs) - 1 - count
    formal = [ir.Value(name=f"{v.name}.sample", type=v.type) for v in body.inputs]
    directions = step.attribute("directions")
    attributes: dict[str, Any] = {"body": body, "num_scan_inputs": count}
    if directions is not None:
        attributes["scan_input_directions"] = list(directions)
    inner = ir.node(
        "Scan",
        formal,
        attributes,
        num_outputs=len(body.outputs),
        version=9,
    )
    for index, (made, known) in enumerate(zip(inner.outputs, body.outputs, strict=True)):
        made.name = f"{known.name}.sample"
        made.type = known.type
        made.shape = known.shape if index < states else None
    outer = ir.Graph(formal, inner.outputs, nodes=[inner], name=f"{body.name}.batch")
    first = step.op(
        "Scan",
        *step.node.inputs[1:],
        version=9,
        outputs=len(step.node.outputs),
        body=outer,
        num_scan_inputs=len(formal),
    )
    made_by = first.producer()
    assert made_by is not None
    return made_by.outputs


ADAPTERS: dict[tuple[str, int], Adapter] = {
    ("Scatter", 11): scatter_elements,
    ("RoiAlign", 16): roi_align_half_pixel,
    ("GridSample", 20): grid_sample_modes,
    ("Erf", 13): erf_of_floats,
    ("RNN", 7): forget_output_sequence,
    ("GRU", 7): forget_output_sequence,
    ("LSTM", 7): forget_output_sequence,
    ("Scan", 9): scan_over_batch,
}

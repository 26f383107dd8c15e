"""Upsample and Resize, whose sampling points were left open before opset 11."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.opset.step import Adapter, Step

_NN_HALF_PIXEL = "tf_half_pixel_for_nn"
# That mode samples at half_pixel + 0.5, so each rounding is another one of half_pixel.
_ROUNDING_OF_SHIFTED = {"floor": "round_prefer_ceil", "round_prefer_floor": "ceil"}


def upsample_to_resize(step: Step) -> ir.Value:
    """Upsample 10: the operator is now called Resize; scales below 1 were never allowed."""
    scales = step.needed(1)
    return _sample(step, step.needed(0), scales, "floor")


def resize_sampling_points(step: Step) -> ir.Value:
    """Resize 11: what was implied is said.

    Opset 10 samples output i at i / scale. For "nearest", enlarged axes round down and reduced
    axes round up, which are two nodes in opset 11 (ONNX Runtime's kernel for opset 10, and the
    downsampling example of ONNX's own tests).
    """
    x, scales = step.needed(0), step.needed(1)
    known = step.array(scales)
    if step.attribute("mode", "nearest") != "nearest":
        return _sample(step, x, scales, None)
    if known is not None and np.all(known >= 1):
        return _sample(step, x, scales, "floor")
    if known is not None and np.all(known <= 1):
        return _sample(step, x, scales, "ceil")
    one = step.constant(1, np.float32)
    enlarged = _sample(step, x, step.op("Max", scales, one, version=13), "floor")
    return _sample(step, enlarged, step.op("Min", scales, one, version=13), "ceil")


def _sample(step: Step, x: ir.Value, scales: ir.Value, rounding: str | None) -> ir.Value:
    return step.op(
        "Resize",
        x,
        None,
        scales,
        version=13,
        attributes=step.kept(),
        nearest_mode=rounding,
        coordinate_transformation_mode="asymmetric",
    )


def resize_optional_operands(step: Step) -> ir.Value:
    """Resize 13: operands that are not needed are left out, and one sampling mode is gone."""
    mode = step.attribute("coordinate_transformation_mode", "half_pixel")
    changed: dict[str, Any] = {}
    if mode == _NN_HALF_PIXEL:
        rounding = step.attribute("nearest_mode", "round_prefer_floor")
        if step.attribute("mode", "nearest") != "nearest" or rounding not in _ROUNDING_OF_SHIFTED:
            raise step.refusal(f"{mode} with nearest_mode={rounding}")
        changed["coordinate_transformation_mode"] = "half_pixel"
        changed["nearest_mode"] = _ROUNDING_OF_SHIFTED[rounding]
    roi = step.operand(1) if mode == "tf_crop_and_resize" else None
    scales = step.operand(2) if step.operand(3) is None else None
    return step.renewed(step.needed(0), roi, scales, step.operand(3), **changed).outputs[0]


ADAPTERS: dict[tuple[str, int], Adapter] = {
    ("Upsample", 10): upsample_to_resize,
    ("Resize", 11): resize_sampling_points,
    ("Resize", 13): resize_optional_operands,
}

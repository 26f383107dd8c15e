"""Types of contrib operators that onnx-shape-inference does not know."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
from onnx_shape_inference import ShapeInferenceContext, registry

Infer = Callable[[ShapeInferenceContext, ir.Node], None]

_LIKE = {"FusedConv": "Conv", "FusedGemm": "Gemm"}
"""Contrib operators whose operands and attributes begin with those of a standard one."""

_FLOAT_PRODUCTS = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")
"""Products of quantised matrices whose result is float32."""


def register() -> None:
    """Add the rules to the library's registry."""
    registry.collect()
    for op_type, standard in _LIKE.items():
        registry.register("com.microsoft", op_type)(registry.get("", standard, 23))
    for op_type in _FLOAT_PRODUCTS:
        registry.register("com.microsoft", op_type)(_float_product)


def _float_product(context: ShapeInferenceContext, node: ir.Node) -> None:
    """Infer MatMul's shape, with the dtype of the scales."""
    infer: Infer = registry.get("", "MatMul", 23)
    infer(context, node)
    node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)

"""Operators whose newest form a runtime has no kernel for, although it has one for an older form.

Raising a model's opset can so make it unrunnable. The exporter asks `highest_opset` and lowers
the model with `opset.lower_opset` when the answer is below the opset that it would write.

A kernel without an upper bound serves the version it was registered for and no newer one. Each of
these operators changed in opset 22 only by allowing bfloat16. A test compares the table with ONNX
Runtime's own list of kernels (`kernels.py`).
"""

from __future__ import annotations

import onnx_ir as ir

ONNXRUNTIME_CPU: dict[str, int] = {
    "GlobalLpPool": 21,
    "MaxRoiPool": 21,
    "Multinomial": 21,
    "RandomNormal": 21,
    "RandomNormalLike": 21,
    "RandomUniform": 21,
    "RandomUniformLike": 21,
    "RoiAlign": 21,
}
"""Operator -> the newest opset at which ONNX Runtime's CPU provider runs it."""

_CALLS = {"Bernoulli": "RandomUniformLike"}
"""Operators that ONNX Runtime runs by their function body -> the operator in it that counts."""


def highest_opset(model: ir.Model, gaps: dict[str, int] = ONNXRUNTIME_CPU) -> int | None:
    """Return the newest opset at which every node of a model has a kernel; None if any will do.

    Args:
        model: The model; its functions and subgraphs count too.
        gaps: The table of the runtime that will run it.
    """
    scopes: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    nodes = (node for scope in scopes for node in scope.all_nodes() if node.domain == "")
    found = (gaps.get(_CALLS.get(node.op_type, node.op_type)) for node in nodes)
    return min((opset for opset in found if opset is not None), default=None)

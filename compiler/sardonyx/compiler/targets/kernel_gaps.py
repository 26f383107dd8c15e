"""Operators whose newest form a runtime has no kernel for, although it has one for an older form.

Raising a model's opset can so make it unrunnable. The exporter asks `highest_opset` and lowers
the model with `opset.lower_opset` when the answer is below the opset that it would write.

A kernel without an upper bound serves the version it was registered for and no newer one. Each of
these operators changed in opset 22 only by allowing bfloat16. A test compares the table with ONNX
Runtime's own list of kernels (`kernels.py`).
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable, Mapping

import onnx_ir as ir

from sardonyx.compiler.ir.schema import operator
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.targets.kernels import has_function

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


def _cuda() -> dict[str, int]:
    """Read `placement_cuda.json`, which `python -m benchmarks.placement` writes on a device."""
    resource = importlib.resources.files(__package__).joinpath("placement_cuda.json")
    newest = json.loads(resource.read_text(encoding="utf-8"))["newest"]
    # What CUDA never takes runs on the CPU.
    known = {op: opset for op, opset in newest.items() if opset is not None}
    left = {op: opset for op, opset in ONNXRUNTIME_CPU.items() if op not in known}
    return left | {op: opset for op, opset in known.items() if opset < CANONICAL_OPSET}


ONNXRUNTIME_CUDA: dict[str, int] = _cuda()
"""Operator -> the newest opset at which the CUDA provider takes it; later ones go to the CPU."""

_CALLS = {"Bernoulli": "RandomUniformLike"}
"""Operators that ONNX Runtime runs by their function body -> the operator in it that counts."""


def highest_opset(
    model: ir.Model,
    gaps: Mapping[str, int] = ONNXRUNTIME_CPU,
    missing: Callable[[ir.Node, int], str | None] | None = None,
) -> int | None:
    """Return the newest opset at which every node of a model has a kernel; None if any will do.

    Args:
        model: The model; its functions and subgraphs count too.
        gaps: The table of the runtime that will run it.
        missing: Says why the runtime has no kernel for a node at a version. Such a node is run at
            the newest opset that lacks its operator, where the function of the operator stands.
    """
    scopes: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    nodes = [node for scope in scopes for node in scope.all_nodes() if node.domain == ""]
    found = [gaps.get(_CALLS.get(node.op_type, node.op_type)) for node in nodes]
    if missing is not None:
        opset = model.opset_imports.get("", CANONICAL_OPSET)
        found += [_before(node, opset) for node in nodes if missing(node, opset) is not None]
    return min((opset for opset in found if opset is not None), default=None)


def _before(node: ir.Node, opset: int) -> int | None:
    """Return the newest opset without an operator that is a function; None for others."""
    known = operator("", node.op_type, opset)
    if known is None or not has_function(node.op_type, opset):
        return None
    return known.since - 1

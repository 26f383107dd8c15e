"""Calls of model-local functions, written out as the nodes of their bodies."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from sardonyx.compiler.ir import provenance

_CALLED_AS = "sardonyx.import.callee"


def inline_calls(model: ir.Model) -> None:
    """Put the bodies of a model's functions in the place of their calls, in place.

    An inlined node's source is the call's, followed by the node's own.

    Raises:
        ValueError: A function cannot be inlined.
    """
    if not model.functions:
        return
    for function in model.functions.values():
        _separate_outputs(function)
        for node in function.all_nodes():
            node.metadata_props[_CALLED_AS] = ", ".join(provenance.sources(node))
            node.metadata_props.pop(provenance.SOURCE, None)
    try:
        InlinePass()(model)
    except Exception as error:  # the pass raises ValueError, wrapped once or twice
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ValueError(str(cause)) from error
    model.functions.clear()
    for node in model.graph.all_nodes():
        inner = node.metadata_props.pop(_CALLED_AS, None)
        if inner is not None:
            outer = ", ".join(provenance.sources(node))
            provenance.set_source(node, "/".join(filter(None, [outer, inner])))


def _separate_outputs(function: ir.Function) -> None:
    """Give each output of a function a node of its own.

    One that is an input as well, or listed twice, would make the caller's output the caller's
    input when inlined.
    """
    seen: set[ir.Value] = set(function.inputs)
    for index, value in enumerate(function.outputs):
        if value in seen:
            node = ir.Node("", "Identity", [value], version=function.opset_imports.get(""))
            node.outputs[0].name = f"{value.name}.output{index}"
            function.append(node)
            function.outputs[index] = node.outputs[0]
        seen.add(function.outputs[index])

"""Model-local functions: written into the graphs that call them."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir import provenance

_CALLED_AS = "sardonyx.import.callee"


def inline_functions(model: ir.Model) -> None:
    """Inline every call of a model-local function, in place.

    Nodes must carry their versions (`stamp_versions`), since a function may import another opset
    than the model. An inlined node's source is the call's, followed by the node's own.

    Raises:
        UnsupportedError: A function imports a foreign domain in another version than the model,
            or takes a graph as an attribute.
    """
    if not model.functions:
        return
    for function in model.functions.values():
        # Versions are on the nodes; with the same import the inliner does not object.
        function.opset_imports[""] = model.opset_imports.setdefault(
            "", function.opset_imports.get("", 1)
        )
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
        raise UnsupportedError(
            "A model-local function cannot be inlined.",
            found=str(cause),
            remedy="import the model with inline_functions=False",
        ) from None
    model.functions.clear()
    for node in model.graph.all_nodes():
        inner = node.metadata_props.pop(_CALLED_AS, None)
        if inner is not None:
            outer = ", ".join(provenance.sources(node))
            provenance.set_source(node, f"{outer}/{inner}" if outer else inner)


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

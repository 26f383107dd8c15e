"""Model-local functions: written into the graphs that call them."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir.calls import inline_calls


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
    try:
        inline_calls(model)
    except ValueError as error:
        raise UnsupportedError(
            "A model-local function cannot be inlined.",
            found=str(error),
            remedy="import the model with inline_functions=False",
        ) from None

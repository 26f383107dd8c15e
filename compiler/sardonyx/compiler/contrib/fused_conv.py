"""com.microsoft.FusedConv: convolution, then a sum if there is a fourth operand, then activation.

Source: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from sardonyx.compiler.contrib.text import Body
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir import provenance

_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_Parameters = tuple[float, ...]


def _plain(op_type: str) -> Callable[[Body, str, _Parameters], None]:
    def write(body: Body, x: str, _: _Parameters) -> None:
        body.add(body.output, op_type, x)

    return write


def _leaky_relu(body: Body, x: str, parameters: _Parameters) -> None:
    (alpha,) = parameters
    body.add(body.output, "LeakyRelu", x, attributes=f"alpha = {alpha!r}")


def _hard_sigmoid(body: Body, x: str, parameters: _Parameters) -> None:
    alpha, beta = parameters
    body.add(body.output, "HardSigmoid", x, attributes=f"alpha = {alpha!r}, beta = {beta!r}")


def _clip(body: Body, x: str, parameters: _Parameters) -> None:
    low, high = (
        body.scalar(name, number, x)
        for name, number in zip(("low", "high"), parameters, strict=True)
    )
    body.add(body.output, "Clip", x, low, high)


_ACTIVATIONS = {
    "": _plain("Identity"),
    "Relu": _plain("Relu"),
    "Sigmoid": _plain("Sigmoid"),
    "Tanh": _plain("Tanh"),
    "HardSwish": _plain("HardSwish"),
    "LeakyRelu": _leaky_relu,
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
}


def fused_conv(node: ir.Node, opset: int) -> str:
    """Return the body of a FusedConv.

    Raises:
        UnsupportedError: Its activation is not one that ONNX Runtime documents.
    """
    body = Body(node, ("X", "W", "B", "Z"))
    operands = [name for name in ("X", "W", "B") if body.operand(name)]
    result = body.add("convolved", "Conv", *operands, attributes=body.passed_on(_CONV))
    if body.operand("Z"):
        result = body.add("summed", "Add", result, "Z")
    activation = node.attributes.get_string("activation", "") or ""
    parameters = node.attributes.get_floats("activation_params", ()) or ()
    if activation not in _ACTIVATIONS:
        raise UnsupportedError(
            f"FusedConv has the activation {activation!r}.",
            where=provenance.site(node),
            expected=", ".join(filter(None, _ACTIVATIONS)),
        )
    _ACTIVATIONS[activation](body, result, tuple(parameters))
    return body.text(opset)

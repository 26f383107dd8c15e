"""com.microsoft's GELUs: exact or approximated by tanh, with a bias or without, and by a sigmoid.

Not by the standard Gelu: opsets before 20 lack it, and onnx's reference evaluator does not run an
operator with a context-dependent body inside of a function.

Source: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from sardonyx.compiler.contrib.text import Body


def exact_gelu(node: ir.Node, opset: int) -> str:
    """Return the body of a Gelu, or of a BiasGelu: that of the sum of its operands."""
    body = Body(node, ("A", "B"), "C")
    x = _sum(body, "A", "B")
    scaled = body.add("scaled", "Div", x, body.scalar("root_two", math.sqrt(2), x))
    _gate(body, x, body.add("gate", "Erf", scaled))
    return body.text(opset)


def fast_gelu(node: ir.Node, opset: int) -> str:
    """Return the body of a FastGelu: GELU, approximated by tanh, of X or of X + bias."""
    body = Body(node, ("X", "bias"), "Y")
    x = _sum(body, "X", "bias")
    cubed = body.add("cubed", "Mul", body.add("squared", "Mul", x, x), x)
    cubic = body.add("cubic", "Mul", cubed, body.scalar("coefficient", 0.044715, x))
    curved = body.add("curved", "Add", x, cubic)
    scaled = body.add("scaled", "Mul", curved, body.scalar("factor", math.sqrt(2 / math.pi), x))
    _gate(body, x, body.add("gate", "Tanh", scaled))
    return body.text(opset)


def quick_gelu(node: ir.Node, opset: int) -> str:
    """Return the body of a QuickGelu: X * Sigmoid(alpha * X)."""
    body = Body(node, ("X",), "Y")
    held = "value_float: float = @alpha" if "alpha" in node.attributes else "value_float = 1.702"
    alpha = body.add("alpha_number", "Constant", attributes=held)
    factor = body.add("factor", "CastLike", alpha, "X")
    gate = body.add("gate", "Sigmoid", body.add("scaled", "Mul", "X", factor))
    body.add("Y", "Mul", "X", gate)
    return body.text(opset)


def _sum(body: Body, x: str, bias: str) -> str:
    return body.add("biased", "Add", x, bias) if body.operand(bias) else x


def _gate(body: Body, x: str, gate: str) -> None:
    """Write x/2 * (1 + gate)."""
    raised = body.add("raised", "Add", gate, body.scalar("one", 1.0, x))
    halved = body.add("halved", "Mul", x, body.scalar("half", 0.5, x))
    body.add(body.output, "Mul", halved, raised)

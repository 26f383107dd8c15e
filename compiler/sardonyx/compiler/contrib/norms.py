"""com.microsoft: SkipLayerNormalization, SkipSimplifiedLayerNormalization and GroupNorm.

Source: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.contrib.text import Body

_RESULTS = ("output", "mean", "inv_std_var", "input_skip_bias_sum")


def _summed(node: ir.Node, formal: tuple[str, ...]) -> tuple[Body, str]:
    """Start a body with the sum of input, skip and bias; return it and the sum's name."""
    body = Body(node, formal, _RESULTS[0], _RESULTS[1 : len(node.outputs)])
    terms = ["input", "skip", *filter(None, [body.operand("bias")])]
    name = terms[0]
    for number, term in enumerate(terms[1:], start=2):
        is_last = number == len(terms) and len(node.outputs) == len(_RESULTS)
        name = body.add(_RESULTS[3] if is_last else f"sum_of_{number}", "Add", name, term)
    return body, name


def skip_layer_norm(node: ir.Node, opset: int) -> str:
    """Return the body of a SkipLayerNormalization."""
    body, total = _summed(node, ("input", "skip", "gamma", "beta", "bias"))
    scale = ["gamma", *filter(None, [body.operand("beta")])]
    epsilon = _epsilon(node, 1e-12)
    results = ", ".join(_RESULTS[: min(3, len(node.outputs))])
    body.add(results, "LayerNormalization", total, *scale, attributes=f"axis = -1, {epsilon}")
    return body.text(opset)


def skip_rms_norm(node: ir.Node, opset: int) -> str:
    """Return the body of a SkipSimplifiedLayerNormalization."""
    body, total = _summed(node, ("input", "skip", "gamma", "bias"))
    body.add("wide", "Cast", total, attributes="to = 1")
    body.add("square", "Mul", "wide", "wide")
    body.add("last", "Constant", attributes="value_ints = [-1]")
    body.add("mean_square", "ReduceMean", "square", "last", attributes="keepdims = 1")
    value = node.attributes.get_float("epsilon", 1e-12)
    body.add("epsilon_value", "Constant", attributes=f"value_float = {value!r}")
    body.add("variance", "Add", "mean_square", "epsilon_value")
    body.add("root", "Sqrt", "variance")
    body.add("normal", "Div", "wide", "root")
    body.add("narrow", "CastLike", "normal", total)
    body.add("output", "Mul", "narrow", "gamma")
    if len(node.outputs) > 1:
        body.add("mean", "ReduceMean", "wide", "last", attributes="keepdims = 1")
    if len(node.outputs) > 2:
        body.add("inv_std_var", "Reciprocal", "root")
    return body.text(opset)


def _epsilon(node: ir.Node, default: float) -> str:
    if "epsilon" in node.attributes:
        return "epsilon: float = @epsilon"
    return f"epsilon = {default!r}"


def group_norm(node: ir.Node, opset: int) -> str:
    """Return the body of a GroupNorm: instance norm of each group, scale, shift, then SiLU."""
    body = Body(node, ("X", "gamma", "beta"))
    groups = node.attributes.get_int("groups", 1)
    is_last = node.attributes.get_int("channels_last", 1) == 1
    images = "X"
    if is_last:
        images = body.add("images", "Transpose", "X", attributes="perm = [0, 3, 1, 2]")
    body.add("shape", "Shape", images)
    body.add("folds", "Constant", attributes=f"value_ints = [0, {groups}, -1]")
    body.add("folded", "Reshape", images, "folds")
    for name, number in (("ones", 1.0), ("zeros", 0.0)):
        body.add(f"{name}32", "Constant", attributes=f"value_floats = {[number] * groups}")
        body.add(name, "CastLike", f"{name}32", "X")
    epsilon = _epsilon(node, 1e-5)
    body.add("normal", "InstanceNormalization", "folded", "ones", "zeros", attributes=epsilon)
    body.add("unfolded", "Reshape", "normal", "shape")
    # Scale and shift broadcast along the last axis.
    body.add("spread", "Transpose", "unfolded", attributes="perm = [0, 2, 3, 1]")
    body.add("scale", "CastLike", "gamma", "X")
    body.add("shift", "CastLike", "beta", "X")
    body.add("scaled", "Mul", "spread", "scale")
    result = body.add("shifted", "Add", "scaled", "shift")
    if node.attributes.get_int("activation", 0) == 1:
        body.add("gate", "Sigmoid", result)
        result = body.add("activated", "Mul", result, "gate")
    if is_last:
        body.add("Y", "Identity", result)
    else:
        body.add("Y", "Transpose", result, attributes="perm = [0, 3, 1, 2]")
    return body.text(opset)

"""com.microsoft.MultiHeadAttention and Attention, without caches.

Source: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.contrib.text import Body
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir import provenance


def multi_head_attention(node: ir.Node, opset: int) -> str:
    """Return the body of a MultiHeadAttention of a query, key and value of three axes.

    Raises:
        UnsupportedError: It has a padding mask, a cache or packed operands.
    """
    formal = ("query", "key", "value", "bias", "key_padding_mask", "attention_bias")
    _refuse(node, len(formal), ("key_padding_mask",), formal, ("unidirectional",))
    body = Body(node, formal)
    operands: tuple[str, ...] = ("query", "key", "value")
    if any(body.operand(name) is None for name in operands):
        raise _unsupported(node, "packed operands")
    if body.operand("bias"):
        if not _are_equally_wide(node):
            raise _unsupported(node, "a bias, and a value that is not as wide as the query")
        operands = _biased(body, operands)
    _attend(body, operands, body.operand("attention_bias"))
    return body.text(opset)


def packed_attention(node: ir.Node, opset: int) -> str:
    """Return the body of an Attention that projects its input to query, key and value.

    Raises:
        UnsupportedError: It has an integer mask that is no matrix, a cache or rotates its queries.
    """
    formal = ("input", "weights", "bias", "mask_index", "past", "attention_bias")
    refused = ("unidirectional", "do_rotary", "past_present_share_buffer", "qkv_hidden_sizes")
    _refuse(node, len(formal), ("past",), formal, refused)
    body = Body(node, formal)
    projected = body.add("projected", "MatMul", "input", "weights")
    if body.operand("bias"):
        projected = body.add("shifted", "Add", projected, "bias")
    operands = _thirds(body, projected, ("q", "k", "v"), -1)
    bias = body.operand("attention_bias")
    if body.operand("mask_index"):
        bias = _filter(body, bias)
    _attend(body, operands, bias)
    return body.text(opset)


def _filter(body: Body, bias: str | None) -> str:
    """Write what is added to the scores of keys whose [batch, keys] integer is not positive."""
    mask = body.node.inputs[3]
    if mask is None or mask.shape is None or len(mask.shape) != 2:
        raise _unsupported(body.node, "an integer mask that is no matrix of batch and keys")
    body.add("inner_axes", "Constant", attributes="value_ints = [1, 2]")
    body.add("keys", "Unsqueeze", "mask_index", "inner_axes")
    body.add("least", "Constant", attributes="value_int = 0")
    least = body.add("least_key", "CastLike", "least", "keys")
    seen = body.add("seen", "Greater", "keys", least)
    low = body.node.attributes.get_float("mask_filter_value", -10_000.0)
    filtered = body.add(
        "filtered",
        "Where",
        seen,
        body.scalar("kept", 0.0, "input"),
        body.scalar("hidden", low, "input"),
    )
    return filtered if bias is None else body.add("biased_mask", "Add", filtered, bias)


def _attend(body: Body, operands: tuple[str, ...], bias: str | None) -> None:
    """Write softmax(query @ key^T * scale + bias) @ value, with heads in the last axis."""
    heads = body.node.attributes["num_heads"].as_int()
    body.add("split", "Constant", attributes=f"value_ints = [0, 0, {heads}, -1]")
    parted = [body.add(f"{name}_heads", "Reshape", name, "split") for name in operands]
    query = body.add("q4", "Transpose", parted[0], attributes="perm = [0, 2, 1, 3]")
    key = body.add("k4", "Transpose", parted[1], attributes="perm = [0, 2, 3, 1]")
    value = body.add("v4", "Transpose", parted[2], attributes="perm = [0, 2, 1, 3]")
    products = body.add("products", "MatMul", query, key)
    scores = body.add("scores", "Mul", products, _scale(body, query))
    if bias is not None:
        scores = body.add("biased_scores", "Add", scores, bias)
    weights = body.add("weights_of_values", "Softmax", scores, attributes="axis = -1")
    mixed = body.add("mixed", "MatMul", weights, value)
    back = body.add("back", "Transpose", mixed, attributes="perm = [0, 2, 1, 3]")
    body.add("join", "Constant", attributes="value_ints = [0, 0, -1]")
    body.add(body.output, "Reshape", back, "join")


def _scale(body: Body, query: str) -> str:
    """Write the scale: the attribute, or one over the root of the size of a head."""
    given = body.node.attributes.get_float("scale", 0.0)
    if given:
        return body.scalar("scale", given, query)
    body.add("dims", "Shape", query)
    body.add("last", "Constant", attributes="value_int = 3")
    body.add("size", "Gather", "dims", "last")
    body.add("real_size", "CastLike", "size", query)
    body.add("root", "Sqrt", "real_size")
    return body.add("scale", "Reciprocal", "root")


def _biased(body: Body, operands: tuple[str, ...]) -> tuple[str, ...]:
    biases = _thirds(body, "bias", ("query_bias", "key_bias", "value_bias"), 0)
    pairs = zip(operands, biases, strict=True)
    return tuple(body.add(f"{name}_biased", "Add", name, bias) for name, bias in pairs)


def _are_equally_wide(node: ir.Node) -> bool:
    widths = [v.shape[-1] if v is not None and v.shape else None for v in node.inputs[:3]]
    return isinstance(widths[0], int) and len(set(widths)) == 1


def _thirds(body: Body, value: str, names: tuple[str, ...], axis: int) -> tuple[str, ...]:
    """Split an axis into three equal parts."""
    body.add(", ".join(names), "Split", value, attributes=f"axis = {axis}, num_outputs = 3")
    return names


def _refuse(
    node: ir.Node,
    known: int,
    operands: tuple[str, ...],
    formal: tuple[str, ...],
    attributes: tuple[str, ...],
) -> None:
    """Refuse operands and attributes that no body is written for."""
    for index, value in enumerate(node.inputs):
        name = formal[index] if index < known else "past_key"
        if value is not None and (name in operands or index >= known):
            raise _unsupported(node, f"the operand {name!r}")
    for name in attributes:
        found = node.attributes.get(name)
        if found is not None and found.value:
            raise _unsupported(node, f"the attribute {name!r}")


def _unsupported(node: ir.Node, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{node.op_type} has {what}.",
        where=provenance.site(node),
        expected="a query, key and value of three axes, with or without attention_bias",
    )

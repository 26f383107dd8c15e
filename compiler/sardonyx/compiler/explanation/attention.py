"""Finds attention: a softmax of products of two computed values that weights a third."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from sardonyx.compiler.explanation.flow import Flow, downstream, upstream
from sardonyx.compiler.explanation.site import Found, microsoft, spelled

ACCEPTED = frozenset({"Attention"}) | microsoft(
    "Attention",
    "MultiHeadAttention",
    "GroupQueryAttention",
    "DecoderMaskedMultiHeadAttention",
    "DecoderMaskedSelfAttention",
    "PackedAttention",
    "PackedMultiHeadAttention",
    "PagedAttention",
    "QAttention",
    "SparseAttention",
)
"""Operators that are a whole attention."""

_PRODUCTS = {"MatMul", "Einsum", "Gemm"}
_TO_SCORES = {
    *("Add", "Sub", "Mul", "Div", "Where", "Cast", "CastLike", "Identity", "Max", "Min", "Clip"),
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Slice", "Concat", "Tanh", "Pad"),
    *("Dropout", "ScatterND", "Gather", "GatherElements"),
}
"""What may stand between the scores and the softmax."""
_FROM_WEIGHTS = {
    *("Mul", "Div", "Where", "Cast", "CastLike", "Identity", "Dropout", "Slice", "Split"),
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand"),
}
"""What may stand between the softmax and the product with the values."""


def find(flow: Flow) -> Iterator[Found]:
    """Yield the attentions of a model."""
    for node in flow.nodes:
        if spelled(node) in ACCEPTED or _weights(node, flow):
            yield Found("attention", (node,), ACCEPTED)


def _weights(node: ir.Node, flow: Flow) -> bool:
    """Say whether a node is a softmax of scores, whose results weight values."""
    is_softmax = node.op_type == "Softmax" and not node.domain
    return is_softmax and any(products(node, flow)) and any(weights_values(node, flow))


def products(softmax: ir.Node, flow: Flow) -> Iterator[ir.Node]:
    """Yield the products of computed values, query and key, that a softmax is taken of."""

    def operands(node: ir.Node, _: ir.Value) -> Iterable[ir.Value | None]:
        if node.op_type not in _TO_SCORES:
            return ()
        return node.inputs[1:] if node.op_type == "Where" else node.inputs

    found = upstream(softmax.inputs[0], operands)
    return (node for node in found if _is_product(node, flow))


def weights_values(softmax: ir.Node, flow: Flow) -> Iterator[ir.Node]:
    """Yield the products of what a softmax makes and computed values."""

    def goes_on(node: ir.Node, index: int) -> bool:
        return node.op_type in _FROM_WEIGHTS and not (node.op_type == "Where" and index == 0)

    reached = downstream(softmax.outputs[0], goes_on)
    return (node for node, _ in reached if _is_product(node, flow))


def _is_product(node: ir.Node, flow: Flow) -> bool:
    """Say whether a node multiplies two computed values, and is not a linear layer."""
    if node.op_type not in _PRODUCTS or node.domain or len(node.inputs) < 2:
        return False
    return all(flow.is_data(v) or _has_heads(v) for v in node.inputs[:2])


def _has_heads(value: ir.Value | None) -> bool:
    """Say whether a value that is known beforehand is split into heads: learned queries, say."""
    return value is not None and value.shape is not None and len(value.shape) >= 3

"""Finds convolutions with what follows them, and linear layers that read one value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.explanation.flow import Flow, made_by, plain, readers
from sardonyx.compiler.explanation.site import Found, microsoft
from sardonyx.compiler.ir.signature import Attributes

_CONVS = {"Conv": "conv", "ConvTranspose": "conv_transpose"}
FOLDED = frozenset(_CONVS) | microsoft("FusedConv")
"""What a batch norm or a scale after a convolution goes into."""
MERGED = frozenset({"MatMul", "Gemm", "Conv"}) | microsoft("Attention", "QAttention")
"""What linear layers that read one value merge into."""

_POOLS = {"AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool"}
"""What a scale and shift of each channel can be moved over."""
_ARITHMETIC = {"Mul", "Add", "Sub", "Div"}
_ACTIVATIONS = {
    *("Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "LeakyRelu", "PRelu", "Elu", "Gelu"),
    *("Mish", "Softplus", "Erf", "Swish"),
}


def find_conv_blocks(flow: Flow) -> Iterator[Found]:
    """Yield the convolutions of a model, each with the batch norm or scale that follows it."""
    for node in flow.nodes:
        kind = _CONVS.get(node.op_type)
        if kind is None or node.domain or not is_linear(node, flow):
            continue
        parts, row = _followers(node, flow)
        said = " + ".join(n.op_type for n in row)
        yield Found(kind, (node, *parts), FOLDED, said=said)


def is_linear(node: ir.Node, flow: Flow) -> bool:
    """Say whether a node is a convolution or product by a weight that is known beforehand."""
    is_operator = not node.domain and node.op_type in {*_CONVS, "Gemm", "MatMul"}
    return is_operator and flow.is_data(node.inputs[0]) and not flow.is_data(node.inputs[1])


def _followers(conv: ir.Node, flow: Flow) -> tuple[list[ir.Node], list[ir.Node]]:
    """Return what is to be folded into a convolution, and all that is in a row with it."""
    parts: list[ir.Node] = []
    row, pools = [conv], list[ir.Node]()
    value = conv.outputs[0]
    while True:
        found = readers(value)
        if len(found) != 1 or value.is_graph_output():
            # A batch norm cannot go into what others read as well: that is to be told.
            kept = _norms_of(value, pools)
            norms = [way[-1] for way in kept]
            return [*parts, *norms], [*row, *dict.fromkeys(n for way in kept for n in way)]
        node, index = found[0]
        is_affine = node.op_type in _ARITHMETIC and not pools and _is_affine(node, index, flow)
        if _is_batch_norm(node, index) or (is_affine and not node.domain):
            parts.append(node)
            row += [*pools, node]
            pools = []
        elif node.op_type in _POOLS and not node.domain:
            pools.append(node)
        else:
            ends = not pools and not node.domain and node.op_type in {"Add", *_ACTIVATIONS}
            return parts, [*row, node] if ends else row
        value = node.outputs[0]


def _norms_of(value: ir.Value, pools: list[ir.Node]) -> list[list[ir.Node]]:
    """Return the batch norms of a value, and of pools of it, with the pools before each."""
    ways: list[list[ir.Node]] = []
    for node, index in readers(value):
        if _is_batch_norm(node, index):
            ways.append([*pools, node])
        elif node.op_type in _POOLS and not node.domain:
            ways += _norms_of(node.outputs[0], [*pools, node])
    return ways


def _is_batch_norm(node: ir.Node, index: int) -> bool:
    return node.op_type == "BatchNormalization" and not node.domain and index == 0


def _is_affine(node: ir.Node, index: int, flow: Flow) -> bool:
    """Say whether a node scales or shifts by something that is no larger than one per channel."""
    other = node.inputs[1 - index]
    if other is None or flow.is_data(other) or (node.op_type == "Div" and index == 1):
        return False
    if other.shape is None:
        return False
    dims = list(other.shape)[-4:]
    wide = [axis for axis, dim in enumerate(dims) if dim != 1]
    rank = len(node.outputs[0].shape) if node.outputs[0].shape is not None else 4
    return not wide or (len(wide) == 1 and len(dims) - wide[0] == rank - 1)


def find_parallel(flow: Flow) -> Iterator[Found]:
    """Yield the groups of linear layers, or convolutions of one form, that read one value."""
    groups: dict[Any, list[ir.Node]] = defaultdict(list)
    for node in flow.nodes:
        key = _reads(node, flow)
        if key is not None:
            groups[key].append(node)
    for nodes in groups.values():
        weights = {plain(node.inputs[1]) for node in nodes}
        if len(weights) > 1:
            said = f"{len(nodes)} x {nodes[0].op_type}"
            kind = "parallel_convs" if nodes[0].op_type == "Conv" else "parallel_linears"
            yield Found(kind, tuple(nodes), MERGED, shared_by=1, said=said)


def _reads(node: ir.Node, flow: Flow) -> Any:
    """Return what tells groups apart: the value that is read, and how."""
    if node.domain or node.op_type not in {"MatMul", "Gemm", "Conv"}:
        return None
    x, weight = node.inputs[:2]
    if not flow.is_data(x) or flow.is_data(weight) or weight is None or weight.shape is None:
        return None
    if node.op_type == "Conv":
        attributes = tuple(sorted(map(str, node.attributes.values())))
        kernel = tuple(map(str, list(weight.shape)[2:]))
        is_whole = Attributes(node).group == 1
        return (node.graph, plain(x), "Conv", attributes, kernel) if is_whole else None
    is_matrix = len(weight.shape) == 2 and not (node.op_type == "Gemm" and Attributes(node).transA)
    return (node.graph, _unreshaped(x), "linear") if is_matrix else None


def _unreshaped(value: ir.Value | None) -> ir.Value | None:
    """Return the value below reshapes that leave its last axis alone."""
    while True:
        value = plain(value)
        node = made_by(value, "Reshape", "Flatten", "Squeeze", "Unsqueeze")
        if node is None or value is None:
            return value
        before, after = node.inputs[0], value
        if before is None or before.shape is None or after.shape is None:
            return value
        if not before.shape or not after.shape or before.shape[-1] != after.shape[-1]:
            return value
        value = before

"""Finds normalisation: a division by the root of a mean of squares, or an operator that is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from sardonyx.compiler.explanation.flow import (
    Flow,
    downstream,
    is_near,
    made_by,
    number,
    plain,
    upstream,
)
from sardonyx.compiler.explanation.linear import find_conv_blocks, is_linear
from sardonyx.compiler.explanation.site import Found, microsoft, spelled
from sardonyx.compiler.ir import constants

_LINEAR = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ACCEPTED = {
    # Written out over the pixels of each channel, it is recognised as an instance norm.
    "layer_norm": frozenset({"LayerNormalization", "InstanceNormalization"})
    | microsoft("SkipLayerNormalization", "EmbedLayerNormalization"),
    "rms_norm": frozenset({"RMSNormalization", "SimplifiedLayerNormalization"})
    | microsoft("SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"),
    "group_norm": frozenset({"GroupNormalization"}) | microsoft("GroupNorm", "SkipGroupNorm"),
    "instance_norm": frozenset({"InstanceNormalization"}),
    "batch_norm": frozenset({"BatchNormalization"}) | _LINEAR,
}
"""For each kind the operators that are the whole of it."""

_KIND = {op: kind for kind, ops in ACCEPTED.items() for op in ops if op not in _LINEAR}
_MEANS = {"ReduceMean", "ReduceSum", "GlobalAveragePool", "ReduceSumSquare"}
_TO_VARIANCE = {
    *("Add", "Sub", "Mul", "Div", "Cast", "CastLike", "Identity", "Clip", "Max", "Reshape"),
    *("Unsqueeze", "Squeeze", "Expand", "Relu"),
}
_MOVES = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Identity", "Dropout"}
"""What may stand between a batch norm and the linear layer that it is to go into."""
_FROM_ROOT = {
    *("Reciprocal", "Add", "Cast", "CastLike", "Identity", "Clip", "Max", "Reshape", "Unsqueeze"),
    *("Squeeze", "Expand"),
}


def find(flow: Flow) -> Iterator[Found]:
    """Yield the normalisations of a model; a batch norm after a convolution belongs to that."""
    of_convs = {part for block in find_conv_blocks(flow) for part in block.anchors}
    for node in flow.nodes:
        known = _KIND.get(spelled(node))
        if known is not None and node not in of_convs:
            kind = _kind_of_operator(node, known)
            goes = kind == "batch_norm" and _is_beside_linear(node, flow)
            yield Found(kind, (node,), _LINEAR if goes else ACCEPTED[kind])
        elif _is_root(node) and flow.is_data(node.inputs[0]):
            square = _mean_of_squares(node)
            scaled = square and _scaled(node)
            if square and scaled:
                kind = _kind_of_parts(square, scaled)
                yield Found(kind, (node,), ACCEPTED[kind])


def _kind_of_operator(node: ir.Node, kind: str) -> str:
    is_group = kind == "instance_norm" and made_by(node.inputs[0], "Reshape")
    return "group_norm" if is_group else kind


def _is_beside_linear(norm: ir.Node, flow: Flow) -> bool:
    """Say whether a batch norm is of what a linear layer gives, or one reads what it gives."""

    def operands(node: ir.Node, _: ir.Value) -> Iterable[ir.Value | None]:
        found = flow.data_operands(node)
        is_shift = node.op_type in {"Add", "Sub", "Mul", "Div"} and len(found) == 1
        return found[:1] if is_shift or node.op_type in _MOVES else ()

    def goes_on(node: ir.Node, index: int) -> bool:
        return node.op_type in _MOVES and index == 0

    before = upstream(norm.inputs[0], operands, 4)
    after = downstream(norm.outputs[0], goes_on, 4)
    return any(is_linear(node, flow) for node in (*before, *(node for node, _ in after)))


def _is_root(node: ir.Node) -> bool:
    if node.domain:
        return False
    if node.op_type == "Pow":
        exponent = number(node.inputs[1])
        return is_near(exponent, 0.5) or is_near(exponent, -0.5)
    return node.op_type == "Sqrt"


def _mean_of_squares(root: ir.Node) -> ir.Node | None:
    """Return the node that takes the mean of squares below a root."""

    def operands(node: ir.Node, _: ir.Value) -> Iterable[ir.Value | None]:
        if node.domain or node.op_type not in _TO_VARIANCE:
            return ()
        return node.inputs[:1] if node.op_type in {"Sub", "Reshape", "Expand"} else node.inputs

    for node in upstream(root.inputs[0], operands, 8):
        if node.op_type in _MEANS and (node.op_type == "ReduceSumSquare" or _square(node)):
            return node
    return None


def _square(mean: ir.Node) -> ir.Value | None:
    """Return what a mean takes the squares of."""
    if mean.op_type == "ReduceSumSquare":
        return plain(mean.inputs[0])
    node = made_by(mean.inputs[0], "Mul", "Pow")
    if node is None:
        return None
    a, b = plain(node.inputs[0]), plain(node.inputs[1])
    is_square = is_near(number(b), 2) if node.op_type == "Pow" else a is b
    return a if is_square else None


def _scaled(root: ir.Node) -> ir.Node | None:
    """Return the node that divides by a root."""

    def goes_on(node: ir.Node, _: int) -> bool:
        return node.op_type in _FROM_ROOT

    for node, index in downstream(root.outputs[0], goes_on, 6):
        if node.op_type == "Mul" or (node.op_type == "Div" and index == 1):
            return node
    return None


def _kind_of_parts(mean: ir.Node, scaled: ir.Node) -> str:
    value = _square(mean)
    difference = made_by(value, "Sub")
    is_centred = _is_minus_mean(difference) or _is_minus_square(mean)
    if not is_centred:
        return "rms_norm"
    whole = difference.inputs[0] if difference is not None else value
    is_split = made_by(whole, "Reshape") is not None
    is_put_back = any(node.op_type == "Reshape" for node, _ in scaled.outputs[0].uses())
    if is_split and is_put_back:
        return "group_norm"
    return "instance_norm" if _is_over_space(mean, whole) else "layer_norm"


def _is_minus_mean(difference: ir.Node | None) -> bool:
    return difference is not None and bool(
        made_by(difference.inputs[1], "ReduceMean", "GlobalAveragePool", "Div", "Mul", "Expand")
    )


def _is_minus_square(mean: ir.Node) -> bool:
    """Say whether a variance is the mean of squares less the square of the mean."""
    return any(n.op_type == "Sub" and i == 0 for n, i in mean.outputs[0].uses())


def _is_over_space(mean: ir.Node, value: ir.Value | None) -> bool:
    """Say whether a mean is over all axes after batch and channels, of which there are several."""
    if value is None or value.shape is None or len(value.shape) < 4:
        return False
    if mean.op_type == "GlobalAveragePool":
        return True
    rank = len(value.shape)
    found = _axes(mean)
    return found is not None and sorted(a % rank for a in found) == list(range(2, rank))


def _axes(mean: ir.Node) -> list[int] | None:
    held = constants.array(mean.inputs[1], 64) if len(mean.inputs) > 1 else None
    return None if held is None else [int(a) for a in held.reshape(-1)]

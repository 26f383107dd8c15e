"""Linear layers that read one value (queries, keys and values; gate and up) are one, then Split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, const, maybe, no, rule
from sardonyx.compiler.rules.affine import is_float
from sardonyx.compiler.rules.producers import is_operator

_MOST = 4
"""More layers, such as those of all experts or all cross-attentions, would hold much at once."""
_LARGE = 16 * 2**20


@dataclass(frozen=True)
class _Layer:
    """One of the layers.

    Attributes:
        node: The product.
        weight: Its constant weight.
        bias: What is added to it, None where nothing is.
        result: The product, or the sum.
    """

    node: ir.Node
    weight: ir.Value
    bias: ir.Value | None
    result: ir.Value

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weight as [inputs, outputs]."""
        assert self.weight.shape is not None
        first, second = self.weight.shape.numpy()
        is_transposed = self.node.op_type == "Gemm" and bool(Attributes(self.node).transB)
        return (second, first) if is_transposed else (first, second)


def _merge(op: Builder, m: Match) -> dict[ir.Value, ir.Value]:
    """x @ a + b and x @ c + d are the pieces of x @ [a, c] + [b, d]."""
    layers = _layers(m)
    axis = int(m.root.op_type != "Gemm" or not m.linear.transB)
    weight = op.constant(_joined([layer.weight for layer in layers], axis))
    bias = _bias(layers)
    if m.root.op_type == "Gemm":
        made = op.Gemm(m.x, weight, bias, transB=int(not axis))
    else:
        made = op.MatMul(m.x, weight)
        made = made if bias is None else op.Add(made, bias)
    sizes = np.array([layer.shape[1] for layer in layers], dtype=np.int64)
    pieces = op.Split(made, sizes, axis=len(made.shape) - 1, outputs=len(layers))
    return {layer.result: piece for layer, piece in zip(layers, pieces, strict=True)}


def _joined(weights: list[ir.Value], axis: int) -> ir.TensorProtocol:
    """Return weights side by side, read only when the result is: large ones stay on disk."""
    parts = [constants.tensor(weight) for weight in weights]
    shapes = [part.shape.numpy() for part in parts if part is not None]
    shape = list(shapes[0])
    shape[axis] = sum(s[axis] for s in shapes)
    assert weights[0].dtype is not None
    return ir.LazyTensor(
        lambda: ir.tensor(np.concatenate([p.numpy() for p in parts if p is not None], axis)),
        dtype=weights[0].dtype,
        shape=ir.Shape(shape),
    )


def _bias(layers: list[_Layer]) -> Array | None:
    """Return the biases in a row, zeros where a layer has none."""
    if all(layer.bias is None for layer in layers):
        return None
    dtype = layers[0].weight.dtype
    assert dtype is not None
    parts = []
    for layer in layers:
        held = constants.array(layer.bias)
        flat = np.zeros(1, dtype.numpy()) if held is None else held.ravel()
        parts.append(np.broadcast_to(flat, (layer.shape[1],)))
    return np.concatenate(parts)


# --- which layers --------------------------------------------------------------------------------


def _can_merge(m: Match) -> bool | No:
    verdict = is_float(m.x) and _is_plain(m.root)
    if not verdict:
        return verdict
    if m.x.shape is None:
        return no("the rank of the input is not known", m.x)
    layers = _layers(m)
    if len(layers) < 2:
        return no("no other layer with a constant weight reads the same value", m.x)
    if len(layers) > _MOST:
        return no(
            f"{len(layers)} layers read the value: their results would all be held at once", m.x
        )
    if m.root is not layers[0].node:
        return no("it goes into the first layer that reads the value", m.x)
    if len({(layer.weight, layer.bias) for layer in layers}) < len(layers):
        return no("two of the layers are one and the same: a later pass computes it once", m.x)
    return True


def _layers(m: Match) -> list[_Layer]:
    """Return the layers like the matched one that read its input."""
    found = []
    for node, _ in m.x.uses():
        is_alike = node.op_type == m.root.op_type and node.domain == ""
        if (
            is_alike
            and node.graph is m.root.graph
            and _is_plain(node)
            and _is_turned_alike(node, m)
        ):
            found.append(_layer(node))
    return found


def _is_turned_alike(node: ir.Node, m: Match) -> bool:
    return node.op_type != "Gemm" or bool(Attributes(node).transB == m.linear.transB)


def _layer(node: ir.Node) -> _Layer:
    weight, output = node.inputs[1], node.outputs[0]
    assert weight is not None
    if node.op_type == "Gemm":
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        return _Layer(node, weight, bias, output)
    uses = list(output.uses())
    added = uses[0].node if len(uses) == 1 and not output.is_graph_output() else None
    if is_operator(added, "Add"):
        (bias,) = (operand for operand in added.inputs if operand is not output)
        if added.graph is node.graph and _is_bias(bias, weight):
            return _Layer(node, weight, bias, added.outputs[0])
    return _Layer(node, weight, None, output)


def _is_bias(value: ir.Value | None, weight: ir.Value) -> bool:
    """Say whether a value is a constant vector over the columns of a weight."""
    if not constants.is_constant(value):
        return False
    assert value is not None
    assert value.shape is not None
    assert weight.shape is not None
    return bool(len(value.shape) == 1 and value.shape[0] in {1, weight.shape[1]})


def _is_plain(node: ir.Node) -> bool | No:
    """Accept a product with a constant matrix that may be copied, and with a vector as its bias."""
    weight = node.inputs[1]
    held = constants.tensor(weight)
    if held is None:
        return no("the weight is computed when the model runs", weight)
    if len(held.shape) != 2:
        return no("the weight is no matrix", weight)
    assert weight is not None
    if held.nbytes > _LARGE and len(weight.uses()) > 1:
        return no(f"others read the weight too, a copy would take {held.nbytes >> 20} MB", weight)
    return node.op_type != "Gemm" or _is_plain_gemm(node)


def _is_plain_gemm(node: ir.Node) -> bool | No:
    given = Attributes(node)
    if given.transA or given.alpha != 1.0 or given.beta != 1.0:
        return no("the Gemm scales, or transposes its input", node.outputs[0])
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and not constants.is_constant(bias):
        return no("the bias is computed when the model runs", bias)
    held = constants.tensor(bias)
    is_vector = held is None or len(held.shape) == 1
    return is_vector or no("the bias is no vector", bias)


PARALLEL_LINEAR = rule(
    "parallel_linear",
    lambda op: op.call(
        ("MatMul", "Gemm"), "x", const("weight"), maybe("bias"), attributes="linear"
    ),
    _merge,
    _can_merge,
)

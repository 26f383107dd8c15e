"""The bias of a linear layer in front of a post-norm residual goes into the norm it is added to.

In `r = Norm(z); y = r + (a @ w + b)` the sum is `a @ w + r'` with `r' = r + b`: b goes into the
bias of the norm. All else that reads r is linear, and takes b out again by its own bias, for
`r @ v + c` is `r' @ v + (c - b @ v)`. That saves the addition of b, two in each layer of BERT.

`residual_bias` gives the norm its new bias, and subtracts it behind. The other two take the
subtraction into what reads it, until nothing does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, const, maybe, no, rule
from sardonyx.compiler.rewrite.pattern import Operator, PatternBuilder
from sardonyx.compiler.rules.affine import Vector, is_per_channel, rounded, vector
from sardonyx.compiler.rules.producers import is_operator, made_by

_AT_ONCE = 1024
"""Rows of a weight that are widened to double precision at a time."""


# --- the norm ------------------------------------------------------------------------------------


def _shift_norm(op: Builder, m: Match) -> ir.Value | No:
    """Norm(z, s, t) is Norm(z, s, t + b) - b, where b is the bias of a residual's other operand."""
    (bias,) = _residual_biases(m.r)
    array = constants.array(bias)
    assert array is not None
    exact = vector(array) + (0 if m.beta is None else vector(m.beta))
    beta = rounded(np.broadcast_to(exact, m.scale.shape), m.scale.dtype)
    if isinstance(beta, No):
        return beta
    moved = op.LayerNormalization(m.z, m.value("scale"), beta, attributes=m.norm)
    made: ir.Value = op.Add(moved, -np.broadcast_to(array.ravel(), m.scale.shape))
    return made


def _can_shift(m: Match) -> bool | No:
    scale = m.value("scale")
    assert scale is not None
    assert scale.shape is not None
    if len(scale.shape) != 1 or m.r.shape is None:
        return no("the norm is over more than the last axis", scale)
    if m.r.is_graph_output():
        return no("the norm is an output of the graph", m.r)
    biases = list(_residual_biases(m.r))
    if len(biases) != 1:
        return no(f"{len(biases)} sums of the norm and a linear layer read it, not one", m.r)
    rank = len(m.r.shape)
    verdict = is_per_channel(biases[0], rank, rank - 1, scale.shape.numpy()[0])
    return verdict and _others_are_linear(m.r)


def _residual_biases(r: ir.Value) -> Iterator[ir.Value]:
    """Yield the biases of the linear layers that `r` is added to."""
    for reader, _ in r.uses():
        if is_operator(reader, "Add"):
            for other in reader.inputs:
                bias = _bias_of(other) if other is not r else None
                if bias is not None:
                    yield bias


def _bias_of(biased: ir.Value | None) -> ir.Value | None:
    """Return b where a value is `a @ w + b` and read once, and the product is too."""
    node = made_by(biased, "Add")
    if node is None or not _is_read_once(biased):
        return None
    for product, bias in (node.inputs, node.inputs[::-1]):
        is_product = made_by(product, "MatMul") is not None
        if is_product and constants.is_constant(bias) and _is_read_once(product):
            return bias
    return None


def _is_read_once(value: ir.Value | None) -> bool:
    return value is not None and len(value.uses()) == 1 and not value.is_graph_output()


def _others_are_linear(r: ir.Value) -> bool | No:
    """Demand that what reads a norm, but for sums, can take a shift of it into a bias it has."""
    for reader, _ in r.uses():
        if is_operator(reader, "Add"):
            continue
        if not is_operator(reader, "MatMul") or not _is_matrix(reader.inputs[1]):
            return no(f"the norm is read by a {reader.op_type} that is no linear layer", r)
        if not _has_bias(reader):
            return no("a linear layer that reads the norm has no bias", reader.outputs[0])
    return len([u for u, _ in r.uses() if is_operator(u, "Add")]) == 1 or no(
        "other sums read it", r
    )


def _is_matrix(weight: ir.Value | None) -> bool:
    held = constants.tensor(weight)
    return held is not None and len(held.shape) == 2


def _has_bias(linear: ir.Node) -> bool:
    """Say whether a vector is added to a product, and nothing else reads that."""
    product, weight = linear.outputs[0], linear.inputs[1]
    if not _is_read_once(product):
        return False
    ((reader, _),) = product.uses()
    (bias,) = [v for v in reader.inputs if v is not product] or [None]
    if not is_operator(reader, "Add") or not constants.is_constant(bias):
        return False
    assert bias is not None
    assert weight is not None
    assert weight.shape is not None
    assert product.shape is not None
    rank = len(product.shape)
    return bool(is_per_channel(bias, rank, rank - 1, weight.shape.numpy()[1]))


def _norm(op: PatternBuilder, output: str) -> Operator:
    beta = maybe(const("beta"))
    return op.LayerNormalization("z", const("scale"), beta, attributes="norm", output=output)


RESIDUAL_BIAS = rule("residual_bias", lambda op: _norm(op, "r"), _shift_norm, _can_shift)


# --- its readers ---------------------------------------------------------------------------------


def _shifted(op: PatternBuilder) -> Operator:
    return op.Add(_norm(op, "moved"), const("shift"), output="r")


def _into_linear(op: Builder, m: Match) -> ir.Value | No:
    """(r + c) @ w + b is r @ w + (b + c @ w)."""
    bias = rounded(vector(m.bias) + _product(vector(m.shift), m.weight), m.bias.dtype)
    if isinstance(bias, No):
        return bias
    made: ir.Value = op.Add(op.MatMul(m.moved, m.value("weight")), bias)
    return made


def _product(row: Vector, weight: constants.Array) -> Vector:
    total = np.zeros(weight.shape[1])
    row = np.broadcast_to(row, len(weight))
    for start in range(0, len(weight), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        total += row[rows] @ weight[rows].astype(np.float64)
    return total


def _is_vector(m: Match) -> bool | No:
    weight = m.value("weight")
    if not _is_matrix(weight):
        return no("the weight is a stack of matrices", weight)
    if not _is_row(m.shift, len(m.weight)):
        return no("the shift is not a vector of the input channels", m.value("shift"))
    return _has_bias(m.linear.node) or no("the bias is not a vector", m.value("bias"))


def _is_row(array: constants.Array, channels: int) -> bool:
    return array.size == channels and array.shape[-1:] == (channels,)


LINEAR_OF_SHIFTED_NORM = rule(
    "linear_of_shifted_norm",
    lambda op: op.Add(op.MatMul(_shifted(op), const("weight"), attributes="linear"), const("bias")),
    _into_linear,
    _is_vector,
    keeps_shared=True,
)


def _into_residual(op: Builder, m: Match) -> ir.Value:
    """(p + b) + (r - b) is p + r."""
    made: ir.Value = op.Add(m.product, m.moved)
    return made


def _cancels(m: Match) -> bool | No:
    channels = m.shift.size
    are_rows = _is_row(m.shift, channels) and (m.bias.size == 1 or _is_row(m.bias, channels))
    if are_rows and np.all(m.bias.ravel() == -m.shift.ravel()):
        return True
    return no("the two constants do not cancel", m.value("shift"))


RESIDUAL_OF_SHIFTED_NORM = rule(
    "residual_of_shifted_norm",
    lambda op: op.Add(op.Add(op.MatMul("a", "w", output="product"), const("bias")), _shifted(op)),
    _into_residual,
    _cancels,
    keeps_shared=True,
)

"""Reads attention scores: from what goes into the softmax down to query times key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.rewrite import No, no
from sardonyx.compiler.rules.affine import FLOATS
from sardonyx.compiler.rules.attention.masks import LARGE, Bias, Choice, Floor, Mask
from sardonyx.compiler.rules.attention.reading import (
    Dims,
    dims_of,
    is_same_dim,
    number,
    only_read_by,
)
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import is_operator, operator


@dataclass(frozen=True)
class Scores:
    """What a softmax is taken of.

    Attributes:
        query: Operand of the product, [..., S, D].
        key: Its other operand, [..., D, T].
        scale: What the product is multiplied by.
        row_scales: Values that it is multiplied by too, each the same for all keys.
        softcap: What `softcap * tanh(scores / softcap)` bounds the scores to, 0 if it does not.
        masks: What is done to the scores after that, first things first.
        dtype: The dtype in which the softmax is taken.
        columns: How many weights a query has.
    """

    query: ir.Value
    key: ir.Value
    scale: float
    row_scales: tuple[ir.Value, ...]
    softcap: float
    masks: tuple[Mask, ...]
    dtype: ir.DataType | None
    columns: int | ir.SymbolicDim


@dataclass
class _Reader:
    """What was read so far, from the softmax down."""

    scale: float = 1.0
    row_scales: list[ir.Value] = field(default_factory=list)
    softcap: float = 0.0
    masks: list[Mask] = field(default_factory=list)

    def scores(self, product: ir.Node, top: ir.Value) -> Scores:
        """Return what was read when the product is reached."""
        assert top.shape is not None
        return Scores(
            _operand(product, 0),
            _operand(product, 1),
            self.scale,
            tuple(self.row_scales),
            self.softcap,
            tuple(reversed(self.masks)),
            top.dtype,
            top.shape[-1],
        )


def read_scores(top: ir.Value, reader: ir.Node) -> Scores | No:
    """Read the scores that `reader`, a softmax, is taken of."""
    state = _Reader()
    value = top
    while True:
        verdict = only_read_by(value, {reader}, "the scores")
        if isinstance(verdict, No):
            return verdict
        node = operator(value)
        if len(dims_of(value)) < 2:
            return no("the rank of the scores is not known", value)
        if is_operator(node, "MatMul"):
            return state.scores(node, top)
        if node is None or node.op_type not in _STEPS:
            made = node.op_type if node is not None else "an input"
            return no(f"the scores come from {made}, not from query times key", value)
        step = _STEPS[node.op_type](state, node)
        if isinstance(step, No):
            return step
        value, reader = step, node


def _operand(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _view(node: ir.Node) -> Dims:
    """Return the dimensions of the scores that a node makes."""
    shape = node.outputs[0].shape
    assert shape is not None  # The loop asked for it.
    return tuple(shape)


def _cast(_: _Reader, node: ir.Node) -> ir.Value | No:
    value = _operand(node, 0)
    return value if value.dtype in FLOATS else no("the scores are computed in integers", value)


def _scale(state: _Reader, node: ir.Node) -> ir.Value | No:
    a, b = _operand(node, 0), _operand(node, 1)
    if node.op_type == "Mul" and not _leads(a) and _leads(b):
        a, b = b, a
    factor = number(b)
    if factor is None:
        return _scale_rows(state, node, a, b)
    if factor == 0:
        return no("the scores are multiplied or divided by zero", b)
    if not _keeps_dims(a, node):
        return no("the number that scales the scores has more axes than they have", b)
    state.scale *= 1 / factor if node.op_type == "Div" else factor
    return a


def _scale_rows(state: _Reader, node: ir.Node, a: ir.Value, b: ir.Value) -> ir.Value | No:
    """A scale that is the same for all keys can as well be one of the query."""
    if node.op_type == "Div":
        return no("the scores are divided by what is computed", b)
    if not _keeps_dims(a, node):
        return no("the scale of the scores has a shape that is not known", b)
    if dims_of(b)[-1:] not in ([], [1]):
        return no("the scale of the scores differs from key to key", b)
    state.row_scales.append(b)
    return a


def _keeps_dims(value: ir.Value, node: ir.Node) -> bool:
    return len(dims_of(value)) == len(_view(node))


def _tanh(state: _Reader, node: ir.Node) -> ir.Value | No:
    """`c * tanh(x)` is the soft cap of `c * x` at c."""
    if state.softcap:
        return no("the scores are bounded by tanh twice", node.outputs[0])
    if state.scale <= 0:
        return no("the tanh of the scores is multiplied by no positive number", node.outputs[0])
    if state.row_scales:
        return no("the soft-capped scores are scaled row by row", node.outputs[0])
    state.softcap = state.scale
    return _operand(node, 0)


def _add(state: _Reader, node: ir.Node) -> ir.Value | No:
    a, b = _operand(node, 0), _operand(node, 1)
    factor = state.scale
    if node.op_type == "Sub":
        factor = -factor
    elif not _leads(a) and _leads(b):
        a, b = b, a
    refusal = _no_mask_here(state, node, a, b)
    if refusal is not None:
        return refusal
    state.masks.append(Bias(b, factor, _view(node)))
    return a


def _no_mask_here(state: _Reader, node: ir.Node, scores: ir.Value, mask: ir.Value) -> No | None:
    if state.softcap:
        return no("a mask is added before the soft cap", mask)
    if state.row_scales:
        return no("the mask is scaled together with the scores, row by row", mask)
    # The columns need no proof: as many as the values they are multiplied by, they are the keys.
    before, after = dims_of(scores)[:-1], _view(node)[:-1]
    if len(before) != len(after):
        return no("the mask has more axes than the scores", mask)
    for axis, (short, long) in enumerate(zip(before, after, strict=True)):
        if not is_same_dim(short, long):
            found = f"axis {axis} of the scores has length {short}, with the mask {long}"
            return no(f"{found}: they are not known to be equal", mask)
    return None


def _where(state: _Reader, node: ir.Node) -> ir.Value | No:
    condition, a, b = (_operand(node, i) for i in range(3))
    fill, is_inverted = number(b), False
    if fill is None:
        a, b, fill, is_inverted = b, a, number(a), True
    if fill is None:
        return no("masked scores become what is computed", b)
    low = fill * state.scale
    if not low <= -LARGE:
        return no(f"masked scores become {low:g}, which is no large negative number", b)
    refusal = _no_mask_here(state, node, a, condition)
    if refusal is not None:
        return refusal
    state.masks.append(Choice(condition, is_inverted, fill, _view(node)))
    return a


def _floor(state: _Reader, node: ir.Node) -> ir.Value | No:
    attributes = [v for v in node.inputs if v is not None]
    if node.op_type == "Clip" and len(node.inputs) > 2 and node.inputs[2] is not None:
        return no("the scores are bounded from above", node.inputs[2])
    if len(attributes) != 2:
        return no(f"{node.op_type} of the scores has {len(attributes)} operands", node.outputs[0])
    scores, bound = attributes
    if number(scores) is not None:
        scores, bound = bound, scores
    low = number(bound)
    if low is None or not low * state.scale <= -LARGE:
        return no("the scores are bounded by no large negative number", bound)
    refusal = _no_mask_here(state, node, scores, bound)
    if refusal is not None:
        return refusal
    state.masks.append(Floor())
    return scores


def _reshape(_: _Reader, node: ir.Node) -> ir.Value | No:
    value = _operand(node, 0)
    if not has_same_dims(dims_of(value)[-2:], _view(node)[-2:]):
        return no("the scores are reshaped to other rows and columns", value)
    return value


_STEPS: dict[str, Callable[[_Reader, ir.Node], ir.Value | No]] = {
    "Cast": _cast,
    "Mul": _scale,
    "Div": _scale,
    "Tanh": _tanh,
    "Add": _add,
    "Sub": _add,
    "Where": _where,
    "Max": _floor,
    "Clip": _floor,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
}
"""How each operator between the product and the softmax is read."""


def _leads(value: ir.Value | None) -> bool:
    """Say whether a value is made of a matrix product by the operators of scores alone."""
    node = operator(value)
    if node is None:
        return False
    if node.op_type == "MatMul":
        return not any(constants.is_constant(v) for v in node.inputs)
    operands = node.inputs if node.op_type in _STEPS else ()
    return any(_leads(v) for v in operands)

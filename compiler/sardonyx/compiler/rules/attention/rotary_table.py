"""Half of a table of cosines or sines that has each of them twice, as RotaryEmbedding wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops import Trait, has_trait
from sardonyx.compiler.rewrite import No, no
from sardonyx.compiler.rules.attention.parts import last_dim
from sardonyx.compiler.rules.attention.reading import dims_of
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by, operator


def half_table(op: Builder, table: ir.Value, *, interleaved: bool) -> ir.Value | No:
    """Return every other element of the last axis, where each is there twice.

    Args:
        op: Makes what computes it.
        table: A value whose last axis is `[f, f]`, or `[f0, f0, f1, f1, ...]`.
        interleaved: Whether the two of each are next to each other.
    """
    return _Halver(op, interleaved).half(table)


class _Halver:
    """Computes the half by what computes the whole: each step is done on half of its operands."""

    def __init__(self, op: Builder, interleaved: bool) -> None:
        self._op = op
        self._interleaved = interleaved

    def half(self, table: ir.Value) -> ir.Value | No:
        size, known = last_dim(table), constants.array(table)
        if size is None or size % 2:
            return no("the table of angles has no known, even length", table)
        if known is not None:
            return self._half_of(known, table)
        node = operator(table)
        if node is None:
            return no("the angles of the two halves of a head are not known to be equal", table)
        doubled = self._doubled(node)
        if doubled is not None:
            return doubled
        if has_trait(node, Trait.ELEMENTWISE):
            return self._rebuilt(node, len(node.inputs))
        if _keeps_last_axis(node):
            return self._rebuilt(node, 1)
        return no(f"{node.op_type} may give the two halves of a head other angles", table)

    def _half_of(self, whole: constants.Array, table: ir.Value) -> ir.Value | No:
        if self._interleaved:
            first, second = whole[..., 0::2], whole[..., 1::2]
        else:
            first, second = np.split(whole, 2, axis=-1)
        if not np.array_equal(first, second):
            return no("the angles of the two halves of a head differ", table)
        return self._op.constant(np.ascontiguousarray(first))

    def _doubled(self, node: ir.Node) -> ir.Value | None:
        """Return `f` where a node makes the table from it."""
        return _neighbours(self._op, node) if self._interleaved else _side_by_side(node)

    def _rebuilt(self, node: ir.Node, halved: int) -> ir.Value | No:
        """Do what a node does on half of its first operands, `halved` of them."""
        operands: list[ir.Value | None] = []
        for index, operand in enumerate(node.inputs):
            if index >= halved or _is_broadcast(operand):
                operands.append(operand)
                continue
            assert operand is not None  # What is not there has no dimensions.
            made = self.half(operand)
            if isinstance(made, No):
                return made
            operands.append(made)
        attributes = dict(node.attributes)
        result: ir.Value = self._op.call(node.op_type, *operands, attributes=attributes)
        return result


def _is_broadcast(value: ir.Value | None) -> bool:
    """Say whether a value is the same all along the last axis of the result."""
    return dims_of(value)[-1:] in ([], [1])


def _side_by_side(node: ir.Node) -> ir.Value | None:
    """Return `f` where a node concatenates it with itself along the last axis."""
    if node.op_type != "Concat" or len(node.inputs) != 2:
        return None
    f, other = node.inputs
    is_last = Attributes(node).axis in {-1, len(dims_of(f)) - 1}
    return f if f is other and is_last else None


def _neighbours(op: Builder, node: ir.Node) -> ir.Value | None:
    """Return `f` where a node folds `[f0, f0], [f1, f1], ...` into one axis."""
    pairs = node.inputs[0] if node.op_type == "Reshape" else None
    doubling = made_by(pairs, "Concat", "Expand", "Tile") if last_dim(pairs) == 2 else None
    if doubling is None:
        return None
    if doubling.op_type == "Concat" and len(set(doubling.inputs)) != 1:
        return None
    f = _without_last_axis(op, doubling.inputs[0])
    return f if has_same_dims(dims_of(f)[:-1], dims_of(node.outputs[0])[:-1]) else None


def _without_last_axis(op: Builder, column: ir.Value | None) -> ir.Value | None:
    """Return a value whose last axis was inserted, of length 1, without it."""
    inserting = made_by(column, "Unsqueeze")
    if inserting is None:
        return None
    axes, rank = _operand(1)(inserting), len(dims_of(column))
    others = sorted(axis % rank for axis in axes or ())
    if not others or others.pop() != rank - 1:
        return None
    whole = inserting.inputs[0]
    return op.Unsqueeze(whole, np.array(others, dtype=np.int64)) if others else whole


def _keeps_last_axis(node: ir.Node) -> bool:
    """Say whether a node moves or repeats whole rows of the last axis of its first operand."""
    if node.op_type not in _MOVED_AXES:
        return False
    axes = _MOVED_AXES[node.op_type](node)
    last = len(dims_of(node.outputs[0] if node.op_type == "Unsqueeze" else node.inputs[0])) - 1
    return axes is not None and not {-1, last} & set(axes)


def _gathered(node: ir.Node) -> Sequence[int]:
    return (Attributes(node).axis,)


def _operand(index: int) -> Callable[[ir.Node], Sequence[int] | None]:
    """Read axes from a constant operand."""

    def read(node: ir.Node) -> Sequence[int] | None:
        axes = constants.array(node.inputs[index]) if index < len(node.inputs) else None
        return None if axes is None else [int(axis) for axis in axes.reshape(-1)]

    return read


_MOVED_AXES: dict[str, Callable[[ir.Node], Sequence[int] | None]] = {
    "Gather": _gathered,
    "Slice": _operand(3),
    "Squeeze": _operand(1),
    "Unsqueeze": _operand(1),
}
"""Operators that leave rows of the last axis whole, and the axes that they do change."""

"""Query, key and value as parts of one projection: a Split of its last axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, any_of, const, no, rule
from sardonyx.compiler.rules.attention.reading import dims_of
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import is_operator, made_by


@dataclass(frozen=True)
class Taken:
    """One of the parts that lie on an axis of a reshaped projection.

    Attributes:
        parts: The reshaped projection.
        axis: Its axis of parts.
        index: Which part.
        perm: The transpose of the part, None for none.
    """

    parts: ir.Value
    axis: int
    index: int
    perm: tuple[int, ...] | None = None


def _read(m: Match) -> Taken | No:
    found = _index(m)
    if isinstance(found, No):
        return found
    rank, index = len(dims_of(found.parts)), found.index
    if not rank:
        return no("the shape of what parts are taken of is not known", found.parts)
    axis = found.axis % rank
    if index < 0:
        return no("the part is counted from the end", found.parts)
    node = made_by(found.parts, "Transpose")
    if node is None:
        return Taken(found.parts, axis, index)
    perm, before = Attributes(node).perm, node.inputs[0]
    assert before is not None  # An operand that no Transpose lacks.
    if perm is None:
        return no("the permutation is not given", found.parts)
    return Taken(before, perm[axis], index, _without(perm, perm[axis]))


def _without(perm: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return what is left of a permutation where an axis, which has the length 1, is not there."""
    left = [other for other in perm if other != axis]
    return tuple(sorted(left).index(other) for other in left)


def _index(m: Match) -> Taken | No:
    """Read Gather of one index, or Squeeze of a Slice or of a piece of a Split."""
    if m.root.op_type == "Gather":
        if m.index.ndim:
            return no("more than one part is taken", m.data)
        return Taken(m.data, m.gather.axis, int(m.index))
    node = m.data.producer()
    if not is_operator(node, "Slice", "Split") or m.axes.size != 1:
        return no("what is squeezed is no single part", m.data)
    whole, axis = node.inputs[0], int(m.axes.flat[0])
    assert whole is not None  # An operand that neither operator lacks.
    rank = len(dims_of(whole))
    if not rank:
        return no("the shape of what parts are taken of is not known", whole)
    if node.op_type == "Split":
        pieces = [v.shape[axis] if v.shape is not None else None for v in node.outputs]
        is_single = all(p == 1 for p in pieces) and Attributes(node).axis % rank == axis % rank
        return (
            Taken(whole, axis, list(node.outputs).index(m.data))
            if is_single
            else no("the pieces of the Split are no single parts", m.data)
        )
    given = [constants.array(v) for v in node.inputs[1:4]]
    if len(given) < 3 or any(a is None or a.size != 1 for a in given):
        return no("the Slice takes no single part", m.data)
    start, _, at = (int(a.flat[0]) for a in given if a is not None)
    return Taken(whole, axis, start) if at % rank == axis % rank else no("of other axes", m.data)


def _part(op: Builder, m: Match) -> ir.Value:
    """A part of a transposed projection is the transpose of a part, and that a piece of a Split."""
    found = _read(m)
    assert not isinstance(found, No)  # The guard asked for it.
    whole = _whole(found)
    if whole is not None:
        made = _piece(op, found, whole)
    else:
        made = op.Gather(found.parts, np.array(found.index, dtype=np.int64), axis=found.axis)
    return op.Transpose(made, perm=found.perm) if found.perm is not None else made


def _whole(found: Taken) -> ir.Value | None:
    """Return the projection whose last axis begins with the axis of parts, if it does."""
    node = made_by(found.parts, "Reshape")
    assert node is not None  # The guard asked for it.
    dims, parts = dims_of(node.inputs[0]), dims_of(found.parts)
    is_last = bool(dims) and has_same_dims(dims[:-1], parts[: found.axis])
    is_known = all(isinstance(dim, int) for dim in [*dims[-1:], *parts[found.axis :]])
    return node.inputs[0] if is_last and is_known else None


def _piece(op: Builder, found: Taken, whole: ir.Value) -> ir.Value:
    assert found.parts.shape is not None
    assert whole.shape is not None
    count, *inner = (d for d in list(found.parts.shape)[found.axis :] if isinstance(d, int))
    width = whole.shape[-1]
    assert isinstance(width, int)
    piece = whole
    if count != 1:
        sizes = np.full(count, width // count, dtype=np.int64)
        piece = op.Split(whole, sizes, axis=-1, outputs=count)[found.index]
    if len(inner) == 1:
        return piece
    made: ir.Value = op.Reshape(piece, np.array([0] * found.axis + inner, dtype=np.int64))
    return made


def _is_part(m: Match) -> bool | No:
    found = _read(m)
    if isinstance(found, No):
        return found
    if made_by(found.parts, "Reshape") is None:
        return no("what parts are taken of is no reshaped projection", found.parts)
    if found.perm is None and _whole(found) is None:
        return no("the parts do not lie one after the other on the last axis", found.parts)
    return True


PART_OF_PROJECTION = rule(
    "part_of_projection",
    lambda op: any_of(
        op.Gather("data", const("index"), attributes="gather"),
        op.Squeeze("data", const("axes")),
    ),
    _part,
    _is_part,
)


# --- as PyTorch's MultiheadAttention parts its projection ----------------------------------------


def _as_transpose(op: Builder, m: Match) -> ir.Value:
    """An axis that is inserted, moved and removed leaves a Transpose of the others."""
    perm = m.swap.perm
    inserted = int(m.inserted.flat[0]) % len(perm)
    made: ir.Value = op.Transpose(m.x, perm=_without(perm, inserted))
    return made


def _removes_what_was_inserted(m: Match) -> bool | No:
    if m.swap.perm is None or m.inserted.size != 1 or m.removed.size != 1:
        return no("it is not one axis that is inserted and removed", m.x)
    perm = m.swap.perm
    rank = len(perm)
    is_same = perm[int(m.removed.flat[0]) % rank] == int(m.inserted.flat[0]) % rank
    return is_same or no("another axis is removed than was inserted", m.x)


TRANSPOSE_WITHOUT_ONES = rule(
    "transpose_without_ones",
    lambda op: op.Squeeze(
        op.Transpose(op.Unsqueeze("x", const("inserted")), attributes="swap"), const("removed")
    ),
    _as_transpose,
    _removes_what_was_inserted,
    keeps_shared=True,
)

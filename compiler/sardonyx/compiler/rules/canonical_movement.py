"""Chains of data movement become one: Transpose, Reshape, Slice, Concat, Squeeze, Cast, Expand."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no, rest, rule
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import is_operator

_FLOATS = ("FLOAT16", "FLOAT", "DOUBLE")
_SIGNED = ("INT8", "INT16", "INT32", "INT64")
_UNSIGNED = ("UINT8", "UINT16", "UINT32", "UINT64")
_LADDERS = (_FLOATS, ("BFLOAT16", "FLOAT", "DOUBLE"), _SIGNED, _UNSIGNED)
"""Dtypes of one kind, each of which holds every value of those before it."""


def _compose(op: Builder, m: Match) -> ir.Value:
    """Two transposes are one."""
    perm = [m.inner.perm[axis] for axis in m.outer.perm]
    made: ir.Value = op.Transpose(m.x, perm=perm)
    return made


def _has_perms(m: Match) -> bool | No:
    inner, outer = m.inner.perm, m.outer.perm
    if inner is None or outer is None:
        return no("a permutation is not given")
    return len(inner) == len(outer) or no("the permutations are of other ranks")


def _explicit(op: Builder, m: Match) -> ir.Value:
    """A Transpose without perm reverses the axes."""
    made: ir.Value = op.Transpose(m.x, perm=list(range(len(m.x.shape)))[::-1])
    return made


def _is_implicit(m: Match) -> bool | No:
    if m.t.perm is not None:
        return no("it has a perm")
    return m.x.shape is not None or no("its rank is not known", m.x)


def _reshape_once(op: Builder, m: Match) -> ir.Value:
    """Only the last of several reshapes counts."""
    made: ir.Value = op.Reshape(m.x, m.value("shape"), attributes=m.last)
    return made


def _copies_no_dim(m: Match) -> bool | No:
    """Refuse a zero that means the dimension of a tensor that is no longer there.

    A zero may stay where the inner and the outer operand have the same dimension.
    """
    if m.last.allowzero:
        return no("zero means zero there, not a copy")
    between = m.root.inputs[0]
    middle, x = between.shape if between is not None else None, m.x.shape
    if middle is None or x is None:
        return no("a shape is not known", m.x)
    for axis in map(int, np.flatnonzero(m.shape == 0)):
        if not has_same_dims(middle[axis : axis + 1], x[axis : axis + 1]):
            return no("it copies a dimension that the tensor before does not have there", m.x)
    return True


def _default_zero(op: Builder, m: Match) -> ir.Value:
    """A Reshape without zeros need not say what zeros mean."""
    made: ir.Value = op.Reshape(m.x, m.value("shape"))
    return made


def _has_no_zero(m: Match) -> bool | No:
    return bool(np.all(m.shape != 0)) or no("its shape has a zero", m.x)


def _cast_to(op: Builder, m: Match) -> ir.Value:
    """The dtype of the second operand is known: a CastLike is a Cast."""
    made: ir.Value = op.Cast(m.x, to=m.like.dtype, attributes=m.cast)
    return made


def _knows_dtype(m: Match) -> bool | No:
    return m.like.dtype is not None or no("the dtype to cast to is not known", m.like)


def _cast_once(op: Builder, m: Match) -> ir.Value:
    """A Cast that loses nothing before another Cast does not matter."""
    if m.x.dtype == ir.DataType(m.outer.to):
        value: ir.Value = m.x
        return value
    made: ir.Value = op.Cast(m.x, to=m.outer.to)
    return made


def _first_loses_nothing(m: Match) -> bool | No:
    """Accept if each value survives the first Cast, and the second treats both dtypes alike."""
    source, middle, last = m.x.dtype, ir.DataType(m.inner.to), ir.DataType(m.outer.to)
    if source is None:
        return no("its dtype is not known", m.x)
    names = (source.name, middle.name, last.name)
    for ladder in _LADDERS:
        if all(n in ladder for n in names) and ladder.index(names[0]) <= ladder.index(names[1]):
            return True
    if source == ir.DataType.BOOL and any(middle.name in ladder for ladder in _LADDERS):
        return True
    return no(f"{source.name} to {middle.name} to {last.name} is not {source.name} to {last.name}")


def _flat_concat(op: Builder, m: Match) -> ir.Value:
    """A Concat of Concats on one axis is one Concat."""
    pieces: list[ir.Value] = []
    for piece in m.pieces:
        inner = piece.producer()
        pieces.extend(inner.inputs if _is_same_concat(piece, m) else [piece])
    made: ir.Value = op.Concat(*pieces, attributes=m.concat)
    return made


def _is_same_concat(piece: ir.Value, m: Match) -> bool:
    inner = piece.producer()
    if not is_operator(inner, "Concat") or len(piece.uses()) != 1:
        return False
    if piece.is_graph_output() or piece.shape is None:
        return False
    rank = len(piece.shape)
    return bool(inner.attributes["axis"].as_int() % rank == m.concat.axis % rank)


def _has_inner_concat(m: Match) -> bool | No:
    return any(_is_same_concat(p, m) for p in m.pieces) or no("no operand is a Concat on its axis")


def _merge_slices(op: Builder, m: Match) -> ir.Value:
    """Two forward slices of different axes are one."""
    starts = np.concatenate([m.starts, m.starts2])
    ends = np.concatenate([m.ends, m.ends2])
    axes = np.concatenate([m.axes, m.axes2])
    made: ir.Value = op.Slice(m.x, starts, ends, axes)
    return made


def _slices_other_axes(m: Match) -> bool | No:
    rank = len(m.x.shape) if m.x.shape is not None else 0
    if not rank:
        return no("its rank is not known", m.x)
    common = {int(a) % rank for a in m.axes} & {int(a) % rank for a in m.axes2}
    return not common or no(f"both slice axis {min(common)}")


def _without_expand(op: Builder, m: Match) -> ir.Value:
    """An operator that broadcasts needs no Expand before it."""
    operands = [m.x if v is m.expanded else v for v in m.root.inputs]
    made: ir.Value = op.call(m.root.op_type, *operands, attributes=m.operator)
    return made


def _broadcasts_alike(m: Match) -> bool | No:
    """Accept if the other operand has every dimension of the result."""
    if m.y is m.expanded:
        return no("both operands are expanded", m.y)
    result, other = m.root.outputs[0].shape, m.y.shape
    if result is None or other is None:
        return no("a shape is not known", m.y)
    return has_same_dims(result, other) or no("the result is larger than the other operand", m.y)


def _ones_moved(before: ir.Shape, after: ir.Shape) -> tuple[list[int], list[int]] | None:
    """Return which axes of length 1 go, and which come; None if other axes differ."""
    gone, new, i = [], [], 0
    for j, dim in enumerate(after):
        while i < len(before) and before[i] == 1 and dim != 1:
            gone.append(i)
            i += 1
        if i < len(before) and has_same_dims([before[i]], [dim]):
            i += 1
        elif dim == 1:
            new.append(j)
        else:
            return None
    rest_of = list(range(i, len(before)))
    return (gone + rest_of, new) if all(before[k] == 1 for k in rest_of) else None


def _move_ones(op: Builder, m: Match) -> ir.Value:
    """Two reshapes that only bring, or only take, axes of length 1 are one."""
    after = m.root.outputs[0].shape
    moved = _ones_moved(m.x.shape, after) if after is not None else None
    assert moved is not None  # The guard asked for it.
    gone, new = (np.array(axes, dtype=np.int64) for axes in moved)
    made: ir.Value = m.x
    made = op.Squeeze(made, gone) if gone.size else made
    return op.Unsqueeze(made, new) if new.size else made


def _moves_ones(m: Match) -> bool | No:
    before, after = m.x.shape, m.root.outputs[0].shape
    if before is None or after is None:
        return no("its shape is not known", m.x)
    moved = _ones_moved(before, after)
    if moved is None:
        return no("it changes more than axes of length 1", m.x)
    return not all(moved) or no("it moves axes of length 1", m.x)


_BROADCASTING = ("Add", "Sub", "Mul", "Div", "And", "Or", "Equal", "Less", "Greater", "Pow")
_RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")

RULES = (
    rule(
        "reshape_allowzero",
        lambda op: op.Reshape("x", const("shape"), allowzero=1),
        _default_zero,
        _has_no_zero,
    ),
    rule(
        "cast_like", lambda op: op.CastLike("x", "like", attributes="cast"), _cast_to, _knows_dtype
    ),
    rule("transpose_perm", lambda op: op.Transpose("x", attributes="t"), _explicit, _is_implicit),
    rule(
        "transpose_of_transpose",
        lambda op: op.Transpose(op.Transpose("x", attributes="inner"), attributes="outer"),
        _compose,
        _has_perms,
        keeps_shared=True,
    ),
    rule(
        "reshape_of_reshape",
        lambda op: op.Reshape(
            op.call(_RESHAPING, "x", maybe("any")),
            const("shape"),
            attributes="last",
        ),
        _reshape_once,
        _copies_no_dim,
        keeps_shared=True,
    ),
    rule(
        "reshapes_of_ones",
        lambda op: op.call(
            ("Reshape", "Squeeze", "Unsqueeze"),
            op.call(_RESHAPING, "x", maybe("inner")),
            maybe("outer"),
        ),
        _move_ones,
        _moves_ones,
        keeps_shared=True,
    ),
    rule(
        "cast_of_cast",
        lambda op: op.Cast(op.Cast("x", attributes="inner"), attributes="outer"),
        _cast_once,
        _first_loses_nothing,
        keeps_shared=True,
    ),
    rule(
        "concat_of_concat",
        lambda op: op.Concat(rest("pieces"), attributes="concat"),
        _flat_concat,
        _has_inner_concat,
    ),
    rule(
        "slice_of_slice",
        lambda op: op.Slice(
            op.Slice("x", const("starts"), const("ends"), const("axes"), maybe(1)),
            const("starts2"),
            const("ends2"),
            const("axes2"),
            maybe(1),
        ),
        _merge_slices,
        _slices_other_axes,
    ),
    rule(
        "expand_before_broadcast",
        lambda op: any_of(
            op.call(
                _BROADCASTING, op.Expand("x", "s", output="expanded"), "y", attributes="operator"
            ),
            op.call(
                _BROADCASTING, "y", op.Expand("x", "s", output="expanded"), attributes="operator"
            ),
            *(
                op.Where(*operands, attributes="operator")
                for operands in itertools.permutations(
                    (op.Expand("x", "s", output="expanded"), "y", "z")
                )
            ),
        ),
        _without_expand,
        _broadcasts_alike,
        keeps_shared=True,
    ),
)

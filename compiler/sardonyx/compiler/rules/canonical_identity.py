"""Operators that give back their operand, and pairs that undo each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, any_of, const, maybe, no, rest, rule
from sardonyx.compiler.rules.producers import is_operator

Dims = ir.Shape | Sequence[int | ir.SymbolicDim] | None


def operand(_: Builder, m: Match) -> ir.Value:
    """The operand itself."""
    value: ir.Value = m.x
    return value


def has_shape_of_operand(m: Match) -> bool | No:
    """Accept if the result has the very shape of `x`, symbols included."""
    before, after = m.x.shape, m.root.outputs[0].shape
    if before is None or after is None:
        return no("its shape is not known", m.x)
    if has_same_dims(before, after):
        return True
    return no(f"it changes the shape to {list(map(str, after))}", m.x)


def has_same_dims(a: Dims, b: Dims) -> bool:
    """Say whether two shapes are known, and equal for every value of their symbols."""
    if a is None or b is None:
        return False
    return len(a) == len(b) and all(
        x == y and (isinstance(x, int) or x.value is not None) for x, y in zip(a, b, strict=True)
    )


def is_removable(m: Match) -> bool | No:
    """Refuse the one node that makes a graph output out of a value that cannot be it itself."""
    if not m.root.outputs[0].is_graph_output():
        return True
    x = m.x
    is_made_here = x.producer() is not None and x.graph is m.root.graph
    return (is_made_here and not x.is_graph_output()) or no("it makes an output of the graph")


def _is_true(array: Array) -> bool:
    return bool(array.all())


def _is_false(array: Array) -> bool:
    return not array.any()


def _inference_dropout(m: Match) -> bool | No:
    return m.mode is None or not m.mode.item() or no("dropout is in training mode")


def _same_dtype(m: Match) -> bool | No:
    return m.x.dtype == m.root.outputs[0].dtype or no("it changes the dtype", m.x)


def _no_padding(m: Match) -> bool | No:
    return not m.pads.any() or no("it pads", m.x)


def _forward_and_whole(m: Match) -> bool | No:
    if m.steps is not None and np.any(m.steps != 1):
        return no("its step is not 1")
    return has_shape_of_operand(m)


def _same_axes(m: Match) -> bool | No:
    return has_same_dims(m.x.shape, m.root.outputs[0].shape) or no(
        "the second does not undo the first", m.x
    )


def _is_identity_perm(m: Match) -> bool | No:
    perm = m.t.perm
    return (perm is not None and list(perm) == sorted(perm)) or no(f"it permutes by {perm}")


def _restores_split(m: Match) -> bool | No:
    """Accept Concat of all outputs of a Split, in order, on its axis."""
    pieces = m.pieces
    split = pieces[0].producer()
    rank = len(pieces[0].shape) if pieces[0].shape is not None else None
    if not is_operator(split, "Split") or tuple(split.outputs) != tuple(pieces):
        return no("its operands are not all the outputs of one Split in order")
    axis = split.attributes["axis"].as_int() if "axis" in split.attributes else 0
    if rank is None or axis % rank != m.concat.axis % rank:
        return no("Split and Concat are on different axes")
    return True


def _split_operand(_: Builder, m: Match) -> ir.Value:
    """The tensor that was split."""
    value = m.pieces[0].producer().inputs[0]
    assert isinstance(value, ir.Value)
    return value


def _one_piece(m: Match) -> bool | No:
    return len(m.pieces) == 1 or no(f"it has {len(m.pieces)} operands")


def _only_piece(_: Builder, m: Match) -> ir.Value:
    """The only operand."""
    value: ir.Value = m.pieces[0]
    return value


RULES = (
    rule("identity", lambda op: op.Identity("x"), operand, is_removable),
    rule(
        "dropout",
        lambda op: op.Dropout("x", maybe("ratio"), maybe(const("mode"))),
        operand,
        _inference_dropout,
    ),
    rule("cast_to_same", lambda op: op.Cast("x"), operand, _same_dtype),
    rule(
        "transpose_identity",
        lambda op: op.Transpose("x", attributes="t"),
        operand,
        _is_identity_perm,
    ),
    rule("reshape_to_same", lambda op: op.Reshape("x", "shape"), operand, has_shape_of_operand),
    rule("flatten_to_same", lambda op: op.Flatten("x"), operand, has_shape_of_operand),
    rule(
        "tile_once",
        lambda op: op.Tile("x", const("r", lambda a: bool((a == 1).all()), "all ones")),
        operand,
    ),
    rule(
        "pad_nothing",
        lambda op: op.Pad("x", const("pads"), maybe("v"), maybe("axes")),
        operand,
        _no_padding,
    ),
    rule(
        "slice_whole",
        lambda op: op.Slice("x", "starts", "ends", maybe("axes"), maybe(const("steps"))),
        operand,
        _forward_and_whole,
    ),
    rule(
        "squeeze_of_unsqueeze",
        lambda op: any_of(
            op.Squeeze(op.Unsqueeze("x", const()), maybe(const())),
            op.Unsqueeze(op.Squeeze("x", maybe(const())), const()),
        ),
        operand,
        _same_axes,
        keeps_shared=True,
    ),
    rule(
        "reshape_back",
        lambda op: op.Reshape(any_of(op.Reshape("x", "inner"), op.Flatten("x")), "shape"),
        operand,
        _same_axes,
        keeps_shared=True,
    ),
    rule("concat_of_one", lambda op: op.Concat(rest("pieces")), _only_piece, _one_piece),
    rule(
        "concat_of_split",
        lambda op: op.Concat(rest("pieces"), attributes="concat"),
        _split_operand,
        _restores_split,
    ),
    rule(
        "variadic_of_one",
        lambda op: op.call(("Sum", "Max", "Min", "Mean"), rest("pieces")),
        _only_piece,
        _one_piece,
    ),
    rule("clip_nothing", lambda op: op.Clip("x", None, None), operand),
    rule("not_of_not", lambda op: op.Not(op.Not("x")), operand, keeps_shared=True),
    rule("neg_of_neg", lambda op: op.Neg(op.Neg("x")), operand, keeps_shared=True),
    rule(
        "where_true",
        lambda op: op.Where(const("c", _is_true, "true"), "x", "y"),
        operand,
        has_shape_of_operand,
    ),
    rule(
        "where_false",
        lambda op: op.Where(const("c", _is_false, "false"), "y", "x"),
        operand,
        has_shape_of_operand,
    ),
    rule("where_same", lambda op: op.Where("c", "x", "x"), operand, has_shape_of_operand),
    rule(
        "add_zero", lambda op: any_of(op.Add("x", 0), op.Sub("x", 0)), operand, has_shape_of_operand
    ),
    rule(
        "multiply_by_one",
        lambda op: any_of(op.Mul("x", 1), op.Div("x", 1), op.Pow("x", 1)),
        operand,
        has_shape_of_operand,
    ),
    rule(
        "and_true", lambda op: any_of(op.And("x", 1), op.Or("x", 0)), operand, has_shape_of_operand
    ),
)

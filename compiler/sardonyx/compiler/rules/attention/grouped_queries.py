"""Keys and values that are repeated for groups of queries: Attention takes them as they are.

Its query heads `i` read the key and value head `i // (query heads / key heads)`.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.attention.reading import is_same_dim
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by


def repeated(value: ir.Value) -> ir.Value | None:
    """Return the [batch, heads, length, size] whose heads a value has several times in a row."""
    source = _inserted(value) or _broadcast(value) or _gathered(value)
    if source is None or source.shape is None or value.shape is None:
        return None
    before, after = list(source.shape), list(value.shape)
    if len(before) != 4 or len(after) != 4:
        return None
    heads, repeats = before[1], after[1]
    if not isinstance(heads, int) or not isinstance(repeats, int):
        return None
    is_same = is_same_dim(before[0], after[0]) and has_same_dims(before[2:], after[2:])
    return source if is_same else None


def _inserted(value: ir.Value) -> ir.Value | None:
    """Read Reshape(Expand(Unsqueeze(x, 2))): each head is repeated on an axis after the heads."""
    repeat = made_by(_unfolded(value), "Expand", "Tile", "Concat")
    column = repeat.inputs[0] if repeat is not None else None
    if repeat is None or column is None or not _repeats_axis_2(repeat, column):
        return None
    inserting = made_by(column, "Unsqueeze", "Reshape")
    source = inserting.inputs[0] if inserting is not None else None
    if source is None or source.shape is None or column.shape is None:
        return None
    wanted = [*source.shape[:2], 1, *source.shape[2:]]
    return source if has_same_dims(wanted, list(column.shape)) else None


def _unfolded(value: ir.Value) -> ir.Value | None:
    """Return what a value is a Reshape of, with its rows transposed on the way and back or not."""
    swap = made_by(value, "Transpose")
    if swap is None:
        fold = made_by(value, "Reshape")
        return fold.inputs[0] if fold is not None else None
    outer = made_by(swap.inputs[0], "Reshape")
    inner_swap = made_by(outer.inputs[0], "Transpose") if outer is not None else None
    fold = made_by(inner_swap.inputs[0], "Reshape") if inner_swap is not None else None
    if fold is None or inner_swap is None or not (_swaps_rows(swap) and _swaps_rows(inner_swap)):
        return None
    before, after = fold.outputs[0].shape, value.shape
    if before is None or after is None:
        return None
    return fold.inputs[0] if has_same_dims(list(before)[-2:], list(after)[-2:]) else None


def _swaps_rows(transpose: ir.Node) -> bool:
    perm = Attributes(transpose).perm or ()
    rank = len(perm)
    return perm == (*range(rank - 2), rank - 1, rank - 2)


def _repeats_axis_2(repeat: ir.Node, column: ir.Value) -> bool:
    """Demand that [batch, heads, 1, length, size] becomes [batch, heads, n, length, size]."""
    before, after = column.shape, repeat.outputs[0].shape
    if before is None or after is None or len(before) != 5 or len(after) != 5:
        return False
    if repeat.op_type == "Concat" and (
        Attributes(repeat).axis % 5 != 2 or len(set(repeat.inputs)) != 1
    ):
        return False
    return before[2] == 1 and all(is_same_dim(before[i], after[i]) for i in (0, 1, 3, 4))


def _broadcast(value: ir.Value) -> ir.Value | None:
    """Read Expand(x) of one head."""
    node = made_by(value, "Expand")
    source = node.inputs[0] if node is not None else None
    return source if _heads(source) == 1 else None


def _gathered(value: ir.Value) -> ir.Value | None:
    """Read Gather(x, [0, 0, 1, 1, ...]) on the axis of the heads."""
    node = made_by(value, "Gather")
    if node is None or Attributes(node).axis != 1:
        return None
    source, order = node.inputs[0], constants.array(node.inputs[1])
    heads = _heads(source)
    if order is None or order.ndim != 1 or not isinstance(heads, int) or order.size % heads:
        return None
    wanted = np.repeat(np.arange(heads), order.size // heads)
    return source if np.array_equal(order, wanted) else None


def _heads(value: ir.Value | None) -> int | ir.SymbolicDim | None:
    is_known = value is not None and value.shape is not None and len(value.shape) == 4
    return value.shape[1] if is_known else None  # type: ignore[union-attr, index]


def _group(op: Builder, m: Match) -> ir.Value:
    """Attention of repeated keys and values is Attention of fewer key and value heads."""
    key, value = repeated(m.key), repeated(m.content)
    made: ir.Value = op.Attention(m.query, key, value, *m.more, attributes=m.attention)
    return made


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _is_grouped(m: Match) -> bool | No:
    key, value = repeated(m.key), repeated(m.content)
    if key is None:
        return no("the key heads are not repeated ones", m.key)
    if value is None:
        return no("the key heads are repeated, but not the value heads", m.content)
    assert key.shape is not None
    assert value.shape is not None
    if key.shape[1] != value.shape[1]:
        return no("keys and values are repeated differently", m.content)
    if any(v is not None for v in m.more[1:]):
        return no("it has a cache of past keys, whose heads are not repeated ones", m.key)
    if any(_is_read(output) for output in m.root.outputs[1:]):
        return no("the present keys, with repeated heads, are read", m.root.outputs[1])
    return True


GROUPED_QUERIES = rule(
    "grouped_queries",
    lambda op: op.Attention("query", "key", "content", rest("more"), attributes="attention"),
    _group,
    _is_grouped,
)

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
from sardonyx.compiler.rules.attention.reading import dims_of, is_same_dim, swaps_rows
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import before, made_by


def repeated(value: ir.Value) -> ir.Value | None:
    """Return the [batch, heads, length, size] whose heads a value has several times in a row."""
    source = _inserted(value) or _broadcast(value) or _gathered(value)
    few, many = dims_of(source), dims_of(value)
    is_same = len(few) == 4 and has_same_dims(_without(few, 1), _without(many, 1))
    return source if is_same else None


def _without(dims: list[int | ir.SymbolicDim], axis: int) -> list[int | ir.SymbolicDim]:
    return dims[:axis] + dims[axis + 1 :]


def _inserted(value: ir.Value) -> ir.Value | None:
    """Read Reshape(Expand(Unsqueeze(x, 2))): each head is repeated on an axis after the heads."""
    repeat = made_by(_unfolded(value), "Expand", "Tile", "Concat")
    if repeat is None or not _repeats_axis_2(repeat):
        return None
    column = repeat.inputs[0]
    inserting = made_by(column, "Unsqueeze", "Reshape")
    source = inserting.inputs[0] if inserting is not None else None
    dims = dims_of(source)
    return source if has_same_dims([*dims[:2], 1, *dims[2:]], dims_of(column)) else None


def _unfolded(value: ir.Value) -> ir.Value | None:
    """Return what a value is a Reshape of, with its rows transposed on the way and back or not."""
    swap = made_by(value, "Transpose")
    if swap is None:
        fold = made_by(value, "Reshape")
        return fold.inputs[0] if fold is not None else None
    inner_swap = before(before(swap, "Reshape"), "Transpose")
    fold = before(inner_swap, "Reshape")
    if fold is None or not (_swaps_rows(swap) and _swaps_rows(inner_swap)):
        return None
    is_same = has_same_dims(dims_of(fold.outputs[0])[-2:], dims_of(value)[2:])
    return fold.inputs[0] if is_same else None


def _swaps_rows(transpose: ir.Node | None) -> bool:
    assert transpose is not None  # There is a node before it.
    return swaps_rows(Attributes(transpose).perm)


def _repeats_axis_2(repeat: ir.Node) -> bool:
    """Demand that no axis but the third one of the first operand becomes longer."""
    if repeat.op_type == "Concat" and len(set(repeat.inputs)) != 1:
        return False
    few, many = dims_of(repeat.inputs[0]), dims_of(repeat.outputs[0])
    return has_same_dims(_without(few, 2), _without(many, 2))


def _broadcast(value: ir.Value) -> ir.Value | None:
    """Read Expand(x) of one head."""
    node = made_by(value, "Expand")
    source = node.inputs[0] if node is not None else None
    return source if dims_of(source)[1:2] == [1] else None


def _gathered(value: ir.Value) -> ir.Value | None:
    """Read Gather(x, [0, 0, 1, 1, ...]) on the axis of the heads."""
    node = made_by(value, "Gather")
    if node is None or Attributes(node).axis != 1:
        return None
    source, order = node.inputs[0], constants.array(node.inputs[1])
    dims = dims_of(source)
    if order is None or len(dims) != 4 or not isinstance(dims[1], int):
        return None
    wanted = np.repeat(np.arange(dims[1]), order.size // dims[1])
    return source if np.array_equal(order, wanted) else None


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
    if not is_same_dim(key.shape[1], value.shape[1]):
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

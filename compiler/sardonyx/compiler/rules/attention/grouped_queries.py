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
from sardonyx.compiler.rules.attention.reading import swaps_rows
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import dims_of, made_by, made_from


def repeated(value: ir.Value) -> ir.Value | None:
    """Return the [batch, heads, length, size] whose heads a value has several times in a row."""
    source = _inserted(value) or _broadcast(value) or _gathered(value)
    match dims_of(source), dims_of(value):
        case [batch, int(), length, size], [other, int(), *rest_of]:
            is_same = has_same_dims([batch, length, size], [other, *rest_of])
            return source if is_same else None
    return None


def _inserted(value: ir.Value) -> ir.Value | None:
    """Read Reshape(Expand(Unsqueeze(x, 2))): each head is repeated on an axis after the heads."""
    repeat = made_by(_unfolded(value), "Expand", "Tile", "Concat")
    if repeat is None or not _repeats_axis_2(repeat):
        return None
    column = repeat.inputs[0]
    source = made_from(column, "Unsqueeze", "Reshape")
    batch_and_heads, others = dims_of(source)[:2], dims_of(source)[2:]
    return source if has_same_dims(dims_of(column), [*batch_and_heads, 1, *others]) else None


def _unfolded(value: ir.Value) -> ir.Value | None:
    """Return what a value is a Reshape of, with its rows transposed on the way and back or not."""
    swap = made_by(value, "Transpose")
    if swap is None:
        return made_from(value, "Reshape")
    inner_swap = made_by(made_from(swap.inputs[0], "Reshape"), "Transpose")
    if inner_swap is None or not all(swaps_rows(Attributes(n).perm) for n in (swap, inner_swap)):
        return None
    folded = inner_swap.inputs[0]
    keeps_rows = has_same_dims(dims_of(folded)[-2:], dims_of(value)[-2:])
    return made_from(folded, "Reshape") if keeps_rows else None


def _repeats_axis_2(repeat: ir.Node) -> bool:
    """Demand that [batch, heads, 1, length, size] becomes [batch, heads, n, length, size]."""
    before, after = dims_of(repeat.inputs[0]), dims_of(repeat.outputs[0])
    is_repeat = repeat.op_type != "Concat" or len(set(repeat.inputs)) == 1
    return is_repeat and has_same_dims(before, [*after[:2], 1, *after[3:]])


def _broadcast(value: ir.Value) -> ir.Value | None:
    """Read Expand(x) of one head."""
    source = made_from(value, "Expand")
    return source if dims_of(source)[1:2] == [1] else None


def _gathered(value: ir.Value) -> ir.Value | None:
    """Read Gather(x, [0, 0, 1, 1, ...]) on the axis of the heads."""
    node = made_by(value, "Gather")
    if node is None or Attributes(node).axis != 1:
        return None
    order = constants.array(node.inputs[1])
    match dims_of(node.inputs[0]):
        case [_, int(heads), *_] if order is not None:
            wanted = np.repeat(np.arange(heads), order.size // max(heads, 1))
            return node.inputs[0] if np.array_equal(order, wanted) else None
    return None


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

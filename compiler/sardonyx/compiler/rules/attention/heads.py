"""Attention between transposes that part and join its heads is Attention of three axes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.attention.parts import last_dim
from sardonyx.compiler.rules.attention.reading import dims_of, only_read_by
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import before, made_by, operator

_PARTING = {(0, 2, 1, 3): False, (1, 2, 0, 3): True}
"""Transposes to [batch, heads, length, size], and whether length is first before them."""

_JOINING = {(0, 2, 1, 3): False, (2, 0, 1, 3): True}
"""Transposes back."""


@dataclass(frozen=True)
class Parted:
    """A value of which [batch, heads, length, size] is made.

    Attributes:
        source: [batch, length, heads, size], or the same with the last two as one axis.
        is_length_first: Whether it begins with length and batch.
        cut: The elements of its last axis that are meant, if not all.
    """

    source: ir.Value
    is_length_first: bool
    cut: tuple[int, int] | None = None

    def joined(self, op: Builder, width: int) -> ir.Value:
        """Return [batch, length, heads * size]."""
        made = self.source
        if self.cut is not None:
            start, stop = (np.array([at], dtype=np.int64) for at in self.cut)
            made = op.Slice(made, start, stop, np.array([3], dtype=np.int64))
        if len(dims_of(made)) == 4:
            made = op.Reshape(made, np.array([0, 0, width], dtype=np.int64))
        return op.Transpose(made, perm=[1, 0, 2]) if self.is_length_first else made


def _parted(value: ir.Value | None) -> Parted | None:
    """Find what heads were parted of; only data was moved since."""
    node = operator(value)
    if node is None:
        return None
    assert value is not None  # There is a node that makes it.
    if node.op_type == "Transpose":
        source, is_length_first = node.inputs[0], _PARTING.get(Attributes(node).perm)
        assert source is not None  # An operand that no Transpose lacks.
        return Parted(source, is_length_first) if is_length_first is not None else None
    if node.op_type in {"Slice", "Split"}:
        return _parted_then_cut(value, node)
    return _folded_then_parted(node) if node.op_type == "Reshape" else None


def _parted_then_cut(value: ir.Value, node: ir.Node) -> Parted | None:
    """Read a piece of the last axis: query, key and value of one head may lie side by side."""
    whole = node.inputs[0]
    found = _parted(whole) if made_by(whole, "Transpose") else None
    cut = _slice(node) if node.op_type == "Slice" else _piece(value, node)
    return replace(found, cut=cut) if found is not None and cut is not None else None


def _slice(node: ir.Node) -> tuple[int, int] | None:
    given = [constants.array(v) for v in node.inputs[1:]]
    if len(given) < 3 or any(a is None or a.size != 1 for a in given):
        return None
    start, stop, axis, *step = (int(a.flat[0]) for a in given if a is not None)
    is_plain = axis in {-1, 3} and 0 <= start < stop and step in ([], [1])
    return (start, stop) if is_plain else None


def _piece(value: ir.Value, node: ir.Node) -> tuple[int, int] | None:
    lengths = [last_dim(output) for output in node.outputs]
    if Attributes(node).axis not in {-1, 3} or None in lengths:
        return None
    ends = [0, *itertools.accumulate(n for n in lengths if n is not None)]
    index = list(node.outputs).index(value)
    return ends[index], ends[index + 1]


def _folded_then_parted(node: ir.Node) -> Parted | None:
    """Read PyTorch's MultiheadAttention: [L, N * H, D] of [L, N, H * D], transposed and parted."""
    swap = made_by(node.inputs[0], "Transpose")
    fold = before(swap, "Reshape")
    if fold is None:
        return None
    assert swap is not None
    source = fold.inputs[0]
    assert source is not None
    folded, after = dims_of(fold.outputs[0]), dims_of(node.outputs[0])
    is_swap = Attributes(swap).perm == (1, 0, 2)
    if not is_swap or len(after) != 4 or not has_same_dims([*folded[:1], *folded[2:]], after[2:]):
        return None
    batch, heads, length, size = after
    is_parted = has_same_dims(dims_of(source), [length, batch, heads, size])
    is_joined = (
        isinstance(heads, int)
        and isinstance(size, int)
        and has_same_dims(dims_of(source), [length, batch, heads * size])
    )
    return Parted(source, True) if is_parted or is_joined else None


def _without_transposes(op: Builder, m: Match) -> dict[ir.Value, ir.Value]:
    """ONNX's Attention parts the last axis into heads by itself, and joins them again."""
    operands = []
    for value in (m.query, m.key, m.content):
        found, (_, heads, _, size) = _parted(value), dims_of(value)
        assert found is not None  # The guard asked for it.
        assert isinstance(heads, int)
        assert isinstance(size, int)
        operands.append(found.joined(op, heads * size))
    found = op.Attention(
        *operands,
        *m.more,
        attributes=m.attention,
        q_num_heads=m.query.shape[1],
        kv_num_heads=m.key.shape[1],
        outputs=len(_results(m)),
    )
    joined, *caches = found if isinstance(found, tuple) else (found,)
    if _JOINING[m.swap.perm]:
        joined = op.Transpose(joined, perm=[1, 0, 2])
    if has_same_dims(dims_of(joined), dims_of(m.root.outputs[0])):
        made: ir.Value = joined
    else:
        made = op.Reshape(joined, m.shape, attributes=m.join)
    return {m.root.outputs[0]: made, **dict(zip(_results(m)[1:], caches, strict=True))}


def _results(m: Match) -> list[ir.Value]:
    """Return the result of the attention, and the caches where it makes them."""
    return list(m.attention.node.outputs)


def _is_parted(m: Match) -> bool | No:
    if m.swap.perm not in _JOINING:
        return no(f"the result is transposed by {m.swap.perm}", m.transposed)
    for value, reader in ((m.transposed, m.root), (m.attended, m.swap.node)):
        verdict = only_read_by(value, {reader}, "the heads, before they are joined,")
        if isinstance(verdict, No):
            return verdict
    for what, value in (("query", m.query), ("key", m.key), ("value", m.content)):
        if _parted(value) is None:
            return no(f"the {what} does not come from a split of heads alone", value)
        dims = dims_of(value)
        if len(dims) != 4 or not isinstance(dims[1], int) or not isinstance(dims[3], int):
            return no(f"the heads of the {what} and their size are not known", value)
    return _joins_heads(m)


def _joins_heads(m: Match) -> bool | No:
    """Accept a Reshape whose zeros, if any, copy the first two dimensions."""
    first, second, heads, size = dims_of(m.transposed)
    if isinstance(heads, int) and isinstance(size, int):
        joined = [first, second, heads * size]
        if has_same_dims(dims_of(m.root.outputs[0]), joined):
            return True
    numbers = constants.array(m.shape)
    if numbers is None or np.any(numbers[2:] == 0):
        return no("what joins the heads is no plain Reshape", m.root.outputs[0])
    return True


ATTENTION_OF_JOINED_HEADS = rule(
    "attention_of_joined_heads",
    lambda op: op.Reshape(
        op.Transpose(
            op.Attention(
                "query",
                "key",
                "content",
                rest("more"),
                attributes="attention",
                output="attended",
            ),
            attributes="swap",
            output="transposed",
        ),
        "shape",
        attributes="join",
    ),
    _without_transposes,
    _is_parted,
    keeps_shared=True,  # The caches have readers of their own.
)

"""Attention between transposes that part and join its heads is Attention of three axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.attention.parts import part
from sardonyx.compiler.rules.attention.reading import only_read_by
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import dims_of, made_by, made_from

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
        width: The number of heads times their size.
        cut: The elements of its last axis that are meant, if not all.
    """

    source: ir.Value
    is_length_first: bool
    width: int
    cut: tuple[int, int] | None = None

    def joined(self, op: Builder) -> ir.Value:
        """Return [batch, length, heads * size]."""
        made = self.source
        if self.cut is not None:
            start, stop = (np.array([at], dtype=np.int64) for at in self.cut)
            made = op.Slice(made, start, stop, np.array([3], dtype=np.int64))
        if len(dims_of(made)) == 4:
            made = op.Reshape(made, np.array([0, 0, self.width], dtype=np.int64))
        return op.Transpose(made, perm=[1, 0, 2]) if self.is_length_first else made


def _parted(value: ir.Value) -> Parted | None:
    """Find what heads were parted of; only data was moved since.

    A piece of the last axis may have been cut out since: query, key and value of one head may lie
    side by side.
    """
    taken = part(value)
    assert taken is not None  # Heads of known size.
    folded = _folded_then_parted(value)
    swap = made_by(taken.source, "Transpose")
    if swap is None or taken.step != 1:
        return folded
    source, is_length_first = swap.inputs[0], _PARTING.get(Attributes(swap).perm)
    assert source is not None
    if is_length_first is None:
        return None
    cut = None if taken.source is value else (taken.start, taken.start + taken.length)
    return Parted(source, is_length_first, _width(value), cut)


def _width(value: ir.Value) -> int:
    """Return the number of heads times their size, 0 where one of them is not known."""
    match dims_of(value):
        case [_, int(heads), _, int(size)]:
            return heads * size
    return 0


def _folded_then_parted(value: ir.Value) -> Parted | None:
    """Read PyTorch's MultiheadAttention: [L, N * H, D] of [L, N, H * D], transposed and parted."""
    swap = made_by(made_from(value, "Reshape"), "Transpose")
    folded = swap.inputs[0] if swap is not None else None
    source = made_from(folded, "Reshape")
    if swap is None or source is None or Attributes(swap).perm != (1, 0, 2):
        return None
    batch, heads, length, size = dims_of(value)
    width, before = _width(value), dims_of(source)
    is_parted = has_same_dims(before, [length, batch, heads, size])
    is_joined = has_same_dims(before, [length, batch, width])
    keeps_length = has_same_dims(dims_of(folded)[::2], [length, size])
    return Parted(source, True, width) if keeps_length and (is_parted or is_joined) else None


def _without_transposes(op: Builder, m: Match) -> dict[ir.Value, ir.Value]:
    """ONNX's Attention parts the last axis into heads by itself, and joins them again."""
    operands = []
    for value in (m.query, m.key, m.content):
        found = _parted(value)
        assert found is not None  # The guard asked for it.
        operands.append(found.joined(op))
    results = op.Attention(
        *operands,
        *m.more,
        attributes=m.attention,
        q_num_heads=m.query.shape[1],
        kv_num_heads=m.key.shape[1],
        outputs=len(_results(m)),
    )
    joined, *caches = results if isinstance(results, tuple) else (results,)
    if _JOINING[m.swap.perm]:
        joined = op.Transpose(joined, perm=[1, 0, 2])
    if has_same_dims(dims_of(joined), dims_of(m.root.outputs[0])):
        made: ir.Value = joined
    else:
        made = op.Reshape(joined, m.shape, attributes=m.join)
    return {m.root.outputs[0]: made, **dict(zip(_results(m)[1:], caches, strict=True))}


def _results(m: Match) -> list[ir.Value]:
    """Return the result of the attention, and the caches where it makes them."""
    return list(m.attention.node.outputs)[:3]


def _is_parted(m: Match) -> bool | No:
    if m.swap.perm not in _JOINING:
        return no(f"the result is transposed by {m.swap.perm}", m.transposed)
    for value, reader in ((m.transposed, m.root), (m.attended, m.swap.node)):
        verdict = only_read_by(value, {reader}, "the heads, before they are joined,")
        if isinstance(verdict, No):
            return verdict
    for what, value in (("query", m.query), ("key", m.key), ("value", m.content)):
        if not _width(value):
            return no(f"the heads of the {what} and their size are not known", value)
        if _parted(value) is None:
            return no(f"the {what} does not come from a split of heads alone", value)
    return _joins_heads(m)


def _joins_heads(m: Match) -> bool | No:
    """Accept a Reshape whose zeros, if any, copy the first two dimensions."""
    joined = [*dims_of(m.transposed)[:2], _width(m.attended)]
    numbers = constants.array(m.shape)
    is_plain = numbers is not None and not np.any(numbers[2:] == 0)
    return (
        has_same_dims(dims_of(m.root.outputs[0]), joined)
        or is_plain
        or no("what joins the heads is no plain Reshape", m.root.outputs[0])
    )


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

"""Masks of Attention that are known at compile time: none, causal, or the same for each batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, const, no, rest, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.attention.masks import LARGE
from sardonyx.compiler.rules.attention.placement import filled, with_rows
from sardonyx.compiler.rules.attention.reading import is_same_dim

_PRESENT = 3
"""The outputs of Attention that do not show the scores: the result and the caches."""


def _attention(op: PatternBuilder, mask: Pattern | str) -> Pattern:
    return op.Attention("query", "key", "content", mask, rest("more"), attributes="attention")


def _with_mask(op: Builder, m: Match, mask: ir.Value | None, **changes: int) -> Sequence[ir.Value]:
    """Return the outputs of the attention with another mask."""
    count = min(len(m.root.outputs), _PRESENT)
    operands = (m.query, m.key, m.content, mask, *m.more)
    made = op.Attention(*operands, attributes=m.attention, outputs=count, **changes)
    return [made] if isinstance(made, ir.Value) else list(made)


def _without(op: Builder, m: Match) -> Sequence[ir.Value]:
    """A mask that hides nothing is no mask."""
    return _with_mask(op, m, None)


def _hides_nothing(m: Match) -> bool | No:
    hides = not m.mask.all() if m.mask.dtype == np.bool_ else m.mask.any()
    return not hides or no("the mask hides keys", m.value("mask"))


def _causal(op: Builder, m: Match) -> Sequence[ir.Value]:
    """A mask that shows each query the keys up to its own is `is_causal`."""
    return _with_mask(op, m, None, is_causal=1)


def _is_causal(m: Match) -> bool | No:
    if m.attention.is_causal:
        return no("it is causal already", m.value("mask"))
    if _has_cache(m):
        return no("it has a cache of past keys", m.value("mask"))
    lengths = [v.shape[-2] if v.shape is not None else None for v in (m.query, m.key)]
    if lengths != list(m.mask.shape[-2:]) or lengths[0] != lengths[1]:
        return no("queries and keys are not known to be as many as the mask says", m.value("mask"))
    seen = np.tri(m.mask.shape[-1], dtype=bool)
    is_plain = _shows(m.mask, seen) and _hides(m.mask, ~seen)
    return is_plain or no("the mask is another than that of past keys", m.value("mask"))


def _shows(mask: Array, where: Array) -> bool:
    kept = mask[..., where]
    return bool(kept.all() if mask.dtype == np.bool_ else not kept.any())


def _hides(mask: Array, where: Array) -> bool:
    hidden = mask[..., where]
    return bool(not hidden.any() if mask.dtype == np.bool_ else np.all(hidden <= -LARGE))


def _shared(op: Builder, m: Match) -> Sequence[ir.Value]:
    """A mask that is the same for each sequence, or head, is kept once."""
    mask = m.mask
    for axis in range(mask.ndim - 2):
        if _repeats(mask, axis):
            mask = np.compress([True], mask, axis)
    return _with_mask(op, m, op.constant(np.ascontiguousarray(mask)))


def _repeats(mask: Array, axis: int) -> bool:
    return mask.shape[axis] > 1 and bool(np.all(mask == np.roll(mask, 1, axis)))


def _is_repeated(m: Match) -> bool | No:
    axes = range(m.mask.ndim - 2)
    return any(_repeats(m.mask, axis) for axis in axes) or no(
        "the mask differs from sequence to sequence and from head to head", m.value("mask")
    )


def _filled(op: Builder, m: Match) -> Sequence[ir.Value]:
    """ONNX Runtime does not broadcast the rows of a mask."""
    if _has_cache(m):
        return _with_mask(op, m, with_rows(op, m.mask, m.query))
    return _with_mask(op, m, filled(op, m.mask, m.query, m.key))


def _has_cache(m: Match) -> bool:
    return any(v is not None for v in m.more)


def _lacks_rows(m: Match) -> bool | No:
    shape = m.mask.shape
    if shape is None:
        return no("the shape of the mask is not known", m.mask)
    if m.query.shape is None or m.key.shape is None:
        return no("the shapes of query and key are not known", m.query)
    has_rows = len(shape) > 1 and (shape[-2] != 1 or m.query.shape[-2] == 1)
    if has_rows:
        return no("the mask has all its rows", m.mask)
    # The columns of a mask for past and new keys stay as they are: one is no column for each.
    has_columns = len(shape) > 0 and (
        shape[-1] != 1 if _has_cache(m) else is_same_dim(shape[-1], m.key.shape[-2])
    )
    # Opset 24 lets a mask hide the keys that it has no column for.
    return has_columns or no("the mask is not known to have a column for each key", m.mask)


RULES = (
    rule(
        "attention_without_mask",
        lambda op: _attention(op, const("mask")),
        _without,
        _hides_nothing,
    ),
    rule("attention_is_causal", lambda op: _attention(op, const("mask")), _causal, _is_causal),
    rule(
        "attention_mask_kept_once",
        lambda op: _attention(op, const("mask")),
        _shared,
        _is_repeated,
    ),
    rule("attention_mask_filled", lambda op: _attention(op, "mask"), _filled, _lacks_rows),
)

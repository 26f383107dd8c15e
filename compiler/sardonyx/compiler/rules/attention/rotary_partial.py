"""A rotary embedding of the first elements of each head only is one RotaryEmbedding."""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, any_of, no, rule
from sardonyx.compiler.rewrite.pattern import Pattern, PatternBuilder
from sardonyx.compiler.rules.attention.parts import last_dim, operand, part
from sardonyx.compiler.rules.attention.rotary import SWAPPED


def _turned(op: PatternBuilder, x: Pattern | str) -> Pattern:
    return op.RotaryEmbedding(x, "cos", "sin", attributes="rotary")


def _partial(op: Builder, m: Match) -> ir.Value:
    """[rotary(first part), rest] is RotaryEmbedding of the whole with rotary_embedding_dim."""
    x, length = _whole(m), last_dim(m.turned)
    if m.swapped:
        x = op.Transpose(x, perm=SWAPPED)
    turned = op.RotaryEmbedding(x, m.cos, m.sin, rotary_embedding_dim=length, attributes=m.rotary)
    made: ir.Value = op.Transpose(turned, perm=SWAPPED) if m.swapped else turned
    return made


def _whole(m: Match) -> ir.Value | None:
    """Return the value that the rotated and the kept part are the two parts of, if there is one."""
    x = operand(m.turned)
    if last_dim(x) != last_dim(m.root.outputs[0]):
        return None
    whole, turned, kept = part(x), part(m.turned), part(m.kept)
    if turned is None or kept is None or turned.length % 2:
        return None
    assert whole is not None  # It is as long as both parts together.
    parts = (whole.cut(0, turned.length), whole.cut(turned.length, kept.length))
    return x if (turned, kept) == parts else None


def _is_start(m: Match) -> bool | No:
    if m.rotary.rotary_embedding_dim:
        return no("a part of the part is rotated already", m.turned)
    if m.joined.axis not in {-1, 3}:
        return no("the parts are not those of a head", m.turned)
    return _whole(m) is not None or no("it is not the first part of a head that is turned", m.kept)


PARTIAL_ROTARY = rule(
    "partial_rotary_embedding",
    lambda op: any_of(
        op.Concat(_turned(op, "turned"), "kept", attributes="joined"),
        op.Concat(
            op.Transpose(
                _turned(op, op.Transpose("turned", perm=SWAPPED)),
                perm=SWAPPED,
                attributes="swapped",
            ),
            "kept",
            attributes="joined",
        ),
    ),
    _partial,
    _is_start,
)

"""A rotary embedding does not need the heads before the positions: the transpose comes after it.

Attention takes [batch, sequence, hidden] as well, so that the transpose is in nobody's way there.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule
from sardonyx.compiler.rules.attention.rotary import SWAPPED


def _by_position(op: Builder, m: Match) -> ir.Value:
    """RotaryEmbedding after a transpose of heads and positions is a transpose after it."""
    heads, size = m.x.shape[2:]
    flat = op.Reshape(m.x, np.array([0, 0, heads * size], dtype=np.int64))
    turned = op.RotaryEmbedding(flat, m.cos, m.sin, num_heads=heads, attributes=m.rotary)
    back = op.Reshape(turned, np.array([0, 0, heads, size], dtype=np.int64))
    made: ir.Value = op.Transpose(back, perm=SWAPPED)
    return made


def _has_numbers(m: Match) -> bool | No:
    x = m.x
    if x.shape is None or not all(isinstance(dim, int) for dim in x.shape[2:]):
        return no("the number of heads is not known", x)
    return True


ROTARY_BY_POSITION = rule(
    "rotary_by_position",
    lambda op: op.RotaryEmbedding(
        op.Transpose("x", perm=SWAPPED), "cos", "sin", attributes="rotary"
    ),
    _by_position,
    _has_numbers,
)

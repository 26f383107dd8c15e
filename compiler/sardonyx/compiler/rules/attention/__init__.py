"""Attention and rotary embeddings, from every spelling of them."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.attention import known_mask
from sardonyx.compiler.rules.attention.grouped_queries import GROUPED_QUERIES
from sardonyx.compiler.rules.attention.heads import ATTENTION_OF_JOINED_HEADS
from sardonyx.compiler.rules.attention.kv_cache import KV_CACHE
from sardonyx.compiler.rules.attention.packed import PART_OF_PROJECTION, TRANSPOSE_WITHOUT_ONES
from sardonyx.compiler.rules.attention.rotary import ROTARY
from sardonyx.compiler.rules.attention.rotary_pairs import ROTARY_PAIRS
from sardonyx.compiler.rules.attention.rotary_partial import PARTIAL_ROTARY
from sardonyx.compiler.rules.attention.rotary_sequence import ROTARY_BY_POSITION
from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from sardonyx.compiler.rules.attention.sequence_first import LINEAR_BETWEEN_TRANSPOSES

RULES: tuple[Rule, ...] = (
    ROTARY,
    ROTARY_PAIRS,
    PARTIAL_ROTARY,
    SCALED_DOT_PRODUCT,
    GROUPED_QUERIES,
    KV_CACHE,
    TRANSPOSE_WITHOUT_ONES,
    PART_OF_PROJECTION,
    LINEAR_BETWEEN_TRANSPOSES,
    *known_mask.RULES,
)
"""In no particular order."""

BY_POSITION: tuple[Rule, ...] = (ROTARY_BY_POSITION, ATTENTION_OF_JOINED_HEADS)
"""What may go without heads before positions, once all of `RULES` are done."""

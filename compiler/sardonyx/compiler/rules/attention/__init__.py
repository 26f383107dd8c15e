"""Attention and rotary embeddings, from every spelling of them."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.attention.heads import ATTENTION_OF_JOINED_HEADS
from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT

RULES: tuple[Rule, ...] = (SCALED_DOT_PRODUCT, ATTENTION_OF_JOINED_HEADS)
"""In no particular order."""

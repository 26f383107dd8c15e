"""Activation functions, from every spelling of them."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.activation.clamp import CLIP_CLIP, CLIP_TO_RELU, MAX_TO_CLIP
from sardonyx.compiler.rules.activation.hard_sigmoid import HARD_SIGMOID, HARD_SWISH

RULES: tuple[Rule, ...] = (
    MAX_TO_CLIP,
    CLIP_CLIP,
    CLIP_TO_RELU,
    HARD_SIGMOID,
    HARD_SWISH,
)
"""In no particular order."""

"""Activation functions, from every spelling of them."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.activation.clamp import CLIP_CLIP, CLIP_TO_RELU, MAX_TO_CLIP
from sardonyx.compiler.rules.activation.contrib_form import STANDARD_GELU, STANDARD_QUICK_GELU
from sardonyx.compiler.rules.activation.gelu import GELU, GELU_TANH
from sardonyx.compiler.rules.activation.hard_sigmoid import HARD_SIGMOID, HARD_SWISH
from sardonyx.compiler.rules.activation.leaky_relu import LEAKY_RELU, PRELU_TO_LEAKY_RELU
from sardonyx.compiler.rules.activation.sigmoid import SIGMOID, SILU
from sardonyx.compiler.rules.activation.softplus import MISH, SOFTPLUS, SOFTPLUS_THRESHOLD

RULES: tuple[Rule, ...] = (
    MAX_TO_CLIP,
    CLIP_CLIP,
    CLIP_TO_RELU,
    HARD_SIGMOID,
    HARD_SWISH,
    STANDARD_GELU,
    STANDARD_QUICK_GELU,
    GELU,
    GELU_TANH,
    SIGMOID,
    SILU,
    SOFTPLUS,
    SOFTPLUS_THRESHOLD,
    MISH,
    LEAKY_RELU,
    PRELU_TO_LEAKY_RELU,
)
"""In no particular order."""

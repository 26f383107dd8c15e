"""Normalisations, from every spelling of them."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.norm.group_norm import GROUP_NORM
from sardonyx.compiler.rules.norm.layer_norm import LAYER_NORM
from sardonyx.compiler.rules.norm.norm_affine import NORM_AFFINE
from sardonyx.compiler.rules.norm.norm_cast import NORM_CAST
from sardonyx.compiler.rules.norm.residual_bias import (
    LINEAR_OF_SHIFTED_NORM,
    RESIDUAL_BIAS,
    RESIDUAL_OF_SHIFTED_NORM,
)
from sardonyx.compiler.rules.norm.rms_norm import RMS_NORM, SIMPLIFIED_LAYER_NORM
from sardonyx.compiler.rules.norm.scale_of_norm import SCALE_OF_NORM

RULES: tuple[Rule, ...] = (
    LAYER_NORM,
    RMS_NORM,
    SIMPLIFIED_LAYER_NORM,
    GROUP_NORM,
    NORM_CAST,
    NORM_AFFINE,
    SCALE_OF_NORM,
)
"""What recognises norms, in no particular order."""

POST_NORM: tuple[Rule, ...] = (
    RESIDUAL_BIAS,
    LINEAR_OF_SHIFTED_NORM,
    RESIDUAL_OF_SHIFTED_NORM,
)
"""What fuses around norms after a residual."""

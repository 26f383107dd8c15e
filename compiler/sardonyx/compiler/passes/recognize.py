"""Names what a model computes: norms, activations, attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.passes.base import RulePass
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import activation, attention, norm

STAGES: tuple[tuple[Rule, ...], ...] = (
    # Before any affine fusion: the `+ 3` and the `/ 6` of a hard sigmoid between two convolutions
    # would go into these, which leaves a Clip that nobody recognises.
    activation.RULES,
    norm.RULES,
    attention.RULES,
    # The transposes between heads and positions are part of what the rules before look for.
    attention.BY_POSITION,
)
"""The order of the rules."""


@dataclass(frozen=True)
class Recognize(RulePass):
    """Replace the parts of a norm, an activation or an attention by the one operator of ONNX."""

    name: ClassVar[str] = "recognize"
    stages: ClassVar[tuple[tuple[Rule, ...], ...]] = STAGES

"""One spelling per idea."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.passes.base import RulePass
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import (
    canonical_arithmetic,
    canonical_broadcast,
    canonical_einsum,
    canonical_gather,
    canonical_identity,
    canonical_linear,
    canonical_movement,
    canonical_reduce,
    canonical_sequence,
)


@dataclass(frozen=True)
class Canonicalize(RulePass):
    """Remove what does nothing, merge chains of data movement, settle on one spelling."""

    name: ClassVar[str] = "canonicalize"
    stages: ClassVar[tuple[tuple[Rule, ...], ...]] = (
        (
            *canonical_identity.RULES,
            *canonical_movement.RULES,
            *canonical_gather.RULES,
            *canonical_broadcast.RULES,
            *canonical_arithmetic.RULES,
            *canonical_sequence.RULES,
            *canonical_linear.RULES,
            *canonical_einsum.RULES,
            *canonical_reduce.RULES,
        ),
    )

"""Data movement and kernels in the form that runs fastest anywhere."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.movement.power import POWER

RULES: tuple[Rule, ...] = (POWER,)
"""In no particular order."""

"""Linear layers that read one value."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.parallel.linear import PARALLEL_LINEAR

RULES: tuple[Rule, ...] = (PARALLEL_LINEAR,)
"""In no particular order."""

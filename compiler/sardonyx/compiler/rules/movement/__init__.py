"""Data movement and kernels in the form that runs fastest anywhere."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule

RULES: tuple[Rule, ...] = ()
"""In no particular order."""

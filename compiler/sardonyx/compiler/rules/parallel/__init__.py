"""Linear layers and convolutions that read one value."""

from __future__ import annotations

from sardonyx.compiler.rewrite import Rule

RULES: tuple[Rule, ...] = ()
"""In no particular order."""

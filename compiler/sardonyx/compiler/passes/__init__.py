"""Passes: each changes a model in one way, through the editor."""

from sardonyx.compiler.passes.base import ApplyRules, Pass, PassReport, RulePass
from sardonyx.compiler.passes.manager import Repeat

__all__ = ["ApplyRules", "Pass", "PassReport", "Repeat", "RulePass"]

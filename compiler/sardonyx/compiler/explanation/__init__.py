"""Explains fusions: each site where one can be expected, and what became of it.

Sites are found on the source model, by what they compute and not by the rules that fuse them: a
rule that silently stops matching is seen.
"""

from sardonyx.compiler.explanation.report import Count, Explanation, Site
from sardonyx.compiler.explanation.track import Tracker

__all__ = ["Count", "Explanation", "Site", "Tracker"]

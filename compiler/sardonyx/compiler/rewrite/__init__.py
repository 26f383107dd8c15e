"""Rules and the engine that applies them: match, guard, replace, explain."""

from sardonyx.compiler.rewrite.engine import Miss, Rewriter, RuleReport
from sardonyx.compiler.rewrite.match import Match
from sardonyx.compiler.rewrite.pattern import about, any_of, const, maybe, rest, through
from sardonyx.compiler.rewrite.rule import No, Rule, no, rule

__all__ = [
    "Match",
    "Miss",
    "No",
    "Rewriter",
    "Rule",
    "RuleReport",
    "about",
    "any_of",
    "const",
    "maybe",
    "no",
    "rest",
    "rule",
    "through",
]

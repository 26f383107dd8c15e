"""A rewrite rule: a pattern, a guard that gives its reason, a replacement."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.types import describe
from sardonyx.compiler.rewrite.check_pattern import check_pattern
from sardonyx.compiler.rewrite.match import Match
from sardonyx.compiler.rewrite.pattern import (
    AnyOf,
    Operator,
    PatternBuilder,
    depth_of,
    names_in,
)


@dataclass(frozen=True)
class No:
    """A guard's refusal; false in a condition.

    Attributes:
        why: The condition that failed, as a reader of their own model would say it.
        value: The value that it failed for, if there is one.
    """

    why: str
    value: ir.Value | None = None

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.why} ({describe(self.value)})" if self.value is not None else self.why


def no(why: str, value: ir.Value | None = None) -> No:
    """Refuse a match and say why: `return is_static or no("the batch size is dynamic", x)`."""
    return No(why, value)


Guard = Callable[[Match], "bool | No"]
Replacement = ir.Value | Sequence[ir.Value] | Mapping[ir.Value, ir.Value] | No
"""What a rule puts in place: for the root's output, for its outputs in order, or, where outputs of
other nodes go too, for each value that goes."""
Replace = Callable[[Builder, Match], Replacement]


def _accept(_: Match) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """One rewrite.

    Attributes:
        name: Unique name, snake_case.
        patterns: What to look for; each starts at the value that is replaced.
        replace: Builds the replacement from the match; may refuse with `no(...)`.
        guard: Says whether a match may be replaced.
        keeps_shared: Whether inner values may have readers outside the match; their nodes then
            stay for those. Otherwise such a match is refused.
    """

    name: str
    patterns: tuple[Operator, ...]
    replace: Replace
    guard: Guard = _accept
    keeps_shared: bool = False

    @property
    def sentence(self) -> str:
        """What the rule does, from its replacement's docstring."""
        return (self.replace.__doc__ or "").strip().split("\n")[0]

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The captures of all its patterns."""
        return frozenset(name for pattern in self.patterns for name in names_in(pattern))

    @functools.cached_property
    def depth(self) -> int:
        """How many nodes the longest chain of its patterns has."""
        return max(map(depth_of, self.patterns), default=0)

    @functools.cached_property
    def roots(self) -> frozenset[tuple[str, str]]:
        """The operators, as (domain, name), that a match can start at."""
        return frozenset((p.domain, op_type) for p in self.patterns for op_type in p.op_types)


def rule(
    name: str,
    pattern: Callable[[PatternBuilder], Any],
    replace: Replace,
    guard: Guard = _accept,
    *,
    keeps_shared: bool = False,
) -> Rule:
    """Make a rule from a pattern in builder syntax.

    Args:
        name: Unique name, snake_case.
        pattern: `lambda op: op.Relu(op.Conv("x", const("w")))`; may return `any_of(...)`.
        replace: `(op, match) -> value`; outputs of the root are replaced in order, and with a
            mapping of old values to new ones, outputs of other nodes of its graph.
        guard: `match -> True or no("why", value)`.
        keeps_shared: Accept matches whose inner values are read elsewhere too.

    Raises:
        TypeError: The pattern does not start with an operator, or what must be a function is none.
        RewriteError: No model can match the pattern, or a capture has a name that is taken.
    """
    for what, part in (("pattern", pattern), ("replacement", replace), ("guard", guard)):
        if not callable(part):
            raise TypeError(f"the {what} of rule {name!r} must be a function, not {part!r}")
    given = list(_alternatives(pattern(PatternBuilder())))
    roots = tuple(root for root in given if isinstance(root, Operator))
    if len(roots) != len(given):
        raise TypeError(f"the pattern of rule {name!r} must start with an operator")
    for root in roots:
        check_pattern(name, root)
    return Rule(name, roots, replace, guard, keeps_shared)


def _alternatives(pattern: Any) -> Iterator[Any]:
    if isinstance(pattern, AnyOf):
        for alternative in pattern.alternatives:
            yield from _alternatives(alternative)
    else:
        yield pattern

"""The pattern language: operators written in builder syntax, with captures by name.

A pattern is what a rule looks for, seen from the value that it replaces back to its operands:

    lambda op: op.Relu(op.Conv("x", const("weight"), maybe(const("bias")), attributes="conv"))

A string captures any value; the same string twice demands the same value. A number demands a
constant all of whose elements are that number. None demands that the operand is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sardonyx.compiler.ir.constants import Array


@dataclass(frozen=True)
class AnyValue:
    """Any value, captured by name."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A value known at compile time; `where` says which are meant.

    Attributes:
        name: Capture, or None.
        where: Condition on the array; None accepts all.
        wanted: What `where` asks for, in words for the reader of a missed match.
    """

    name: str | None
    where: Callable[[Array], bool] | None = None
    wanted: str = "a constant"


ABOUT = 1e-6
"""How far a constant may be from the number that it stands for, as a part of it: about what seven
digits leave open. With fewer the model's answer would move by more than its rounding."""


@dataclass(frozen=True)
class Number:
    """A constant whose elements all are one number (compared in the constant's own dtype).

    Attributes:
        value: The number.
        within: Relative error that the constant may have beside its dtype's rounding.
    """

    value: float
    within: float = 0.0


@dataclass(frozen=True)
class Maybe:
    """An operand that may be left out; the capture then reads as `default`."""

    pattern: Pattern
    default: Any = None


@dataclass(frozen=True)
class Absent:
    """An operand that must be left out."""


@dataclass(frozen=True)
class Rest:
    """All remaining operands, captured as a list of values."""

    name: str


@dataclass(frozen=True)
class AnyOf:
    """The first of several patterns that matches."""

    alternatives: tuple[Pattern, ...]


@dataclass(frozen=True)
class Operator:
    """One node: its operator, operands, and what must hold for its attributes.

    Attributes:
        op_types: Accepted operator names.
        domain: Operator domain.
        operands: Patterns of its operands, by position.
        demanded: Attribute values that it must have; defaults of the schema count.
        attributes: Capture of its attributes, or None.
        output: Capture of the value it makes, or None.
    """

    op_types: tuple[str, ...]
    domain: str
    operands: tuple[Pattern, ...]
    demanded: tuple[tuple[str, Any], ...] = ()
    attributes: str | None = None
    output: str | None = None

    @property
    def label(self) -> str:
        """The operator names, for messages."""
        return " or ".join(self.op_types)

    @functools.cached_property
    def first_made(self) -> tuple[int, frozenset[tuple[str, str]]] | None:
        """The first operand that only some operators, as (domain, name), can make; and which.

        None if there is none, or if an operand before it may match nodes too.
        """
        for index, operand in enumerate(self.operands):
            makers = _makers(operand)
            if makers is None or makers:
                return (index, makers) if makers else None
        return None


Pattern = AnyValue | Constant | Number | Maybe | Absent | Rest | AnyOf | Operator


def const(
    name: str | None = None,
    where: Callable[[Array], bool] | None = None,
    wanted: str = "a constant",
) -> Constant:
    """Match a constant and capture it; the capture reads as a numpy array."""
    return Constant(name, where, wanted)


def about(value: float, within: float = ABOUT) -> Number:
    """Match a constant that is a number but for its last digits: 1.414214 for the root of 2."""
    return Number(value, within)


def maybe(pattern: Any, default: Any = None) -> Maybe:
    """Match an operand that may be left out."""
    return Maybe(as_pattern(pattern), default)


def rest(name: str) -> Rest:
    """Capture all remaining operands as a list."""
    return Rest(name)


def any_of(*alternatives: Any) -> AnyOf:
    """Match the first alternative that fits; backtracks to the next if the rest then fails."""
    return AnyOf(tuple(as_pattern(a) for a in alternatives))


def through(op_types: str | tuple[str, ...], pattern: Any) -> AnyOf:
    """Match `pattern`, with or without one unary operator of `op_types` after it."""
    inner = as_pattern(pattern)
    return AnyOf((inner, Operator(_names(op_types), "", (inner,))))


def names_in(pattern: Pattern) -> list[str]:
    """Return the names of all captures of a pattern."""
    if isinstance(pattern, (AnyValue, Rest)):
        return [pattern.name]
    if isinstance(pattern, Constant):
        return [pattern.name] if pattern.name else []
    if isinstance(pattern, Operator):
        own = [name for name in (pattern.attributes, pattern.output) if name]
        return own + [name for p in pattern.operands for name in names_in(p)]
    return [name for p in _inner(pattern) for name in names_in(p)]


def operators_in(pattern: Pattern) -> Iterator[Operator]:
    """Yield the nodes of a pattern, those of all alternatives."""
    if isinstance(pattern, Operator):
        yield pattern
    for inner in _inner(pattern):
        yield from operators_in(inner)


def depth_of(pattern: Pattern) -> int:
    """Return how many nodes the longest chain of a pattern has."""
    own = 1 if isinstance(pattern, Operator) else 0
    return own + max(map(depth_of, _inner(pattern)), default=0)


def _inner(pattern: Pattern) -> tuple[Pattern, ...]:
    if isinstance(pattern, Operator):
        return pattern.operands
    if isinstance(pattern, AnyOf):
        return pattern.alternatives
    return (pattern.pattern,) if isinstance(pattern, Maybe) else ()


def _makers(pattern: Pattern) -> frozenset[tuple[str, str]] | None:
    """Return the operators that a pattern's value must come from; none if it matches no node.

    None if it may match nodes, or none.
    """
    if isinstance(pattern, Operator):
        return frozenset((pattern.domain, op_type) for op_type in pattern.op_types)
    if isinstance(pattern, AnyOf):
        each = [_makers(p) for p in pattern.alternatives]
        known = [m for m in each if m]
        if len(known) == len(each):
            return frozenset().union(*known)
        return None if known or None in each else frozenset()
    return _makers_of_maybe(pattern) if isinstance(pattern, Maybe) else frozenset()


def _makers_of_maybe(pattern: Maybe) -> frozenset[tuple[str, str]] | None:
    return None if _makers(pattern.pattern) != frozenset() else frozenset()


def as_pattern(given: Any) -> Pattern:
    """Turn what a rule's author writes as an operand into a pattern.

    Raises:
        TypeError: It is nothing that a pattern can be made of.
    """
    if isinstance(given, str):
        return AnyValue(given)
    if given is None:
        return Absent()
    if isinstance(given, (bool, int, float)):
        return Number(float(given))
    if isinstance(given, Pattern):
        return given
    raise TypeError(f"{given!r} is no pattern; write a capture name, a number, None or op.X(...)")


class PatternBuilder:
    """The `op` of a pattern: `op.Conv(...)`, or `op.call(("Conv", "ConvTranspose"), ...)`."""

    def __getattr__(self, op_type: str) -> Callable[..., Operator]:
        if op_type.startswith("_"):
            raise AttributeError(op_type)
        return functools.partial(self.call, op_type)

    def call(
        self,
        op_types: str | tuple[str, ...],
        *operands: Any,
        domain: str = "",
        attributes: str | None = None,
        output: str | None = None,
        **demanded: Any,
    ) -> Operator:
        """Make the pattern of one node; keywords demand attribute values."""
        wanted = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in demanded.items())
        patterns = tuple(as_pattern(o) for o in operands)
        return Operator(_names(op_types), domain, patterns, wanted, attributes, output)


def _names(op_types: str | tuple[str, ...]) -> tuple[str, ...]:
    return (op_types,) if isinstance(op_types, str) else op_types

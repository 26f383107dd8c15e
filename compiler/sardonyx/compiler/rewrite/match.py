"""Finds a pattern at a value: backtracking over alternatives and operand orders, with reasons."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ir.types import describe
from sardonyx.compiler.ops import Trait, has_trait
from sardonyx.compiler.rewrite.pattern import (
    Absent,
    AnyOf,
    AnyValue,
    Constant,
    Maybe,
    Number,
    Operator,
    Pattern,
    Rest,
    names_in,
)

_LARGEST_NUMBER = 64
"""Bytes of the largest constant that is read to compare it with a number."""
_LARGEST_COMPARED = 4_096
"""Bytes of the largest constants that are read to compare them with each other."""


@dataclass(frozen=True)
class _Default:
    """Capture of an operand that is left out."""

    value: Any


class Match:
    """What a pattern captured: `m.x` is a value, `m.weight` an array, `m.conv` the attributes.

    A name given to `const` reads as a numpy array, a name given to `attributes=` as an
    `Attributes`, every other one as an onnx_ir value; `m.value(name)` is always the value. A
    capture of another alternative than the one that matched reads as None.
    """

    def __init__(
        self,
        nodes: tuple[ir.Node, ...],
        captures: Mapping[str, Any],
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.nodes = nodes
        self.captures = captures
        self.names = names | captures.keys()

    @property
    def root(self) -> ir.Node:
        """The node whose output is replaced."""
        return self.nodes[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self.names:
            raise AttributeError(f"the pattern captures no {name!r}; it has {sorted(self.names)}")
        held = self.captures.get(name)
        if isinstance(held, _Const):
            return held.array
        return held.value if isinstance(held, _Default) else held

    def value(self, name: str) -> ir.Value | None:
        """Return a capture as the value in the graph; None if the operand is left out."""
        if name not in self.names:
            raise AttributeError(f"the pattern captures no {name!r}; it has {sorted(self.names)}")
        held = self.captures.get(name)
        if isinstance(held, _Const):
            return held.value
        return held if isinstance(held, ir.Value) else None


@dataclass(frozen=True)
class _Const:
    """Capture of a constant; read when it is asked for."""

    value: ir.Value

    @functools.cached_property
    def array(self) -> constants.Array | None:
        return constants.array(self.value)


@dataclass(frozen=True)
class _Text:
    """A reason that is known already."""

    text: str

    def __call__(self) -> str:
        return self.text


@dataclass
class Attempt:
    """The search for one pattern at one node; remembers how far it came and why it stopped."""

    depth: int = -1
    why: Callable[[], str] = field(default=lambda: "never tried")

    def stopped(self, state: State, why: Callable[[], str]) -> None:
        """Note a failure if it came further than those before."""
        if len(state.nodes) > self.depth:
            self.depth, self.why = len(state.nodes), why


@dataclass(frozen=True)
class State:
    """What is matched so far."""

    nodes: tuple[ir.Node, ...] = ()
    captures: Mapping[str, Any] = field(default_factory=dict)

    def with_capture(self, name: str | None, held: Any) -> State:
        """Return the state with one more capture."""
        return self if name is None else State(self.nodes, {**self.captures, name: held})

    def bound(self, name: str | None, held: Any, attempt: Attempt) -> Iterator[State]:
        """Yield the state with one more capture, if it agrees with one of the same name."""
        if name is None or name not in self.captures:
            yield self.with_capture(name, held)
            return
        before = self.captures[name]
        if _is_same(before, held):
            yield self
            return
        attempt.stopped(
            self, lambda: f"{_say(held)} is not the {name!r} seen before, {_say(before)}"
        )


def search(
    pattern: Pattern, root: ir.Node, attempt: Attempt, names: frozenset[str] = frozenset()
) -> Iterator[Match]:
    """Yield every way in which `pattern` matches the first output of `root`.

    Captures called one of `names` that the pattern lacks read as None.
    """
    for state in _match(pattern, root.outputs[0], State(), attempt):
        yield Match(state.nodes, state.captures, names)


def may_match(pattern: Operator, root: ir.Node) -> bool:
    """Say whether more of a pattern than its root can match: cheap, and a sure no."""
    if pattern.first_made is None:
        return True
    index, makers = pattern.first_made
    places = (0, 1) if index < 2 and has_trait(root, Trait.COMMUTATIVE) else (index,)
    for place in places:
        value = root.inputs[place] if place < len(root.inputs) else None
        node = value.producer() if value is not None else None
        if node is not None and (node.domain, node.op_type) in makers:
            return True
    return False


def _match(
    pattern: Pattern, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    matcher = _MATCHERS[type(pattern)]
    yield from matcher(pattern, value, state, attempt)


def _match_any_value(
    pattern: AnyValue, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    if value is None:
        attempt.stopped(state, lambda: f"operand {pattern.name!r} is left out")
        return
    yield from state.bound(pattern.name, value, attempt)


def _match_constant(
    pattern: Constant, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    if value is None or not constants.is_constant(value):
        attempt.stopped(state, lambda: f"{describe(value)} is computed when the model runs")
        return
    if pattern.where is not None:
        array = constants.array(value)
        if array is None or not pattern.where(array):
            attempt.stopped(state, lambda: f"{describe(value)} is not {pattern.wanted}")
            return
    yield from state.bound(pattern.name, _Const(value), attempt)


def _match_number(
    pattern: Number, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    array = constants.array(value, _LARGEST_NUMBER)
    if array is not None and _is_filled_with(array, pattern.value, pattern.within):
        yield state
    else:
        attempt.stopped(state, lambda: f"{describe(value)} is not {pattern.value:.7g}")


def _is_filled_with(array: constants.Array, number: float, within: float) -> bool:
    """Say whether all elements are `number`, rounded to the dtype of the array if it is a float."""
    if array.size == 0 or array.dtype.kind in "USOcm":
        return False
    if array.dtype.kind in "iub":
        return float(number).is_integer() and all(int(x) == int(number) for x in array.flat)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        rounded = array.dtype.type(number)
    is_in_range = np.isfinite(rounded) or not np.isfinite(number)
    is_same = np.all(array == rounded)
    if not is_same and within:
        is_same = np.all(np.abs(array.astype(np.float64) - number) <= within * abs(number))
    return bool(is_in_range and is_same)


def _match_maybe(
    pattern: Maybe, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    if value is not None:
        yield from _match(pattern.pattern, value, state, attempt)
        return
    for name in names_in(pattern.pattern):
        if name not in state.captures:
            state = state.with_capture(name, _Default(pattern.default))
    yield state


def _match_absent(
    pattern: Absent, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    if value is None:
        yield state
    else:
        attempt.stopped(state, lambda: f"has the operand {describe(value)}")


def _match_any_of(
    pattern: AnyOf, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    for alternative in pattern.alternatives:
        yield from _match(alternative, value, state, attempt)


def _match_operator(
    pattern: Operator, value: ir.Value | None, state: State, attempt: Attempt
) -> Iterator[State]:
    node = value.producer() if value is not None else None
    if node is None or node.op_type not in pattern.op_types or node.domain != pattern.domain:
        attempt.stopped(
            state,
            lambda: f"{describe(value)} comes from {_made_by(node)}, not from {pattern.label}",
        )
        return
    if value is not node.outputs[0]:
        attempt.stopped(state, lambda: f"reads another output of {node.op_type} than its first")
        return
    attributes = Attributes(node)
    state = State((*state.nodes, node), state.captures)
    for name, wanted in pattern.demanded:
        found = getattr(attributes, name)
        if not _is_attribute(found, wanted):
            why = _Text(f"{node.op_type} has {name} = {found}, not {wanted}")
            attempt.stopped(state, why)
            return
    state = state.with_capture(pattern.attributes, attributes)
    for named in state.bound(pattern.output, value, attempt):
        for operands in _operand_orders(node):
            yield from _match_operands(pattern.operands, operands, named, attempt)


def _is_attribute(found: Any, wanted: Any) -> bool:
    """Compare attribute values; ONNX keeps floats in single precision."""
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return bool(np.float32(found) == np.float32(wanted))
    if isinstance(wanted, tuple) and isinstance(found, tuple):
        return len(found) == len(wanted) and all(map(_is_attribute, found, wanted))
    return bool(found == wanted)


def _match_operands(
    patterns: tuple[Pattern, ...],
    operands: tuple[ir.Value | None, ...],
    state: State,
    attempt: Attempt,
) -> Iterator[State]:
    if not patterns:
        if any(operand is not None for operand in operands):
            attempt.stopped(state, lambda: "has more operands than the pattern")
            return
        yield state
        return
    first, *others = patterns
    if isinstance(first, Rest):
        yield state.with_capture(first.name, list(operands))
        return
    operand, remaining = (operands[0], operands[1:]) if operands else (None, ())
    for matched in _match(first, operand, state, attempt):
        yield from _match_operands(tuple(others), remaining, matched, attempt)


def _operand_orders(node: ir.Node) -> Iterator[tuple[ir.Value | None, ...]]:
    operands = tuple(node.inputs)
    yield operands
    if len(operands) >= 2 and operands[0] is not operands[1] and has_trait(node, Trait.COMMUTATIVE):
        yield (operands[1], operands[0], *operands[2:])


def _is_same(a: Any, b: Any) -> bool:
    """Say whether two captures are one value, or two constants with the same elements."""
    x, y = (held.value if isinstance(held, _Const) else held for held in (a, b))
    if x is y:
        return True
    if not (isinstance(x, ir.Value) and isinstance(y, ir.Value)):
        return False
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    p, q = (constants.array(value, _LARGEST_COMPARED) for value in (x, y))
    return p is not None and q is not None and p.tobytes() == q.tobytes()


def _say(held: Any) -> str:
    if isinstance(held, _Const):
        return describe(held.value)
    return describe(held) if isinstance(held, ir.Value) else "an operand that is left out"


def _made_by(node: ir.Node | None) -> str:
    return node.op_type if node is not None else "an input or constant"


_MATCHERS: dict[type, Callable[..., Iterator[State]]] = {
    AnyValue: _match_any_value,
    Constant: _match_constant,
    Number: _match_number,
    Maybe: _match_maybe,
    Absent: _match_absent,
    AnyOf: _match_any_of,
    Operator: _match_operator,
}

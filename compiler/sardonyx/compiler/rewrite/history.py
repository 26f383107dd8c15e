"""Tells when rules go round in a circle: the same application again, by way of its own result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from sardonyx.compiler.errors import RewriteError
from sardonyx.compiler.ir import constants, provenance
from sardonyx.compiler.rewrite.match import Match

_TOKEN = "sardonyx.rewrite.token"
_SMALL = 256
"""Bytes of the largest constant that is compared by content."""


@dataclass(frozen=True)
class Event:
    """One application: what the rule saw, without keeping the model's values alive.

    Attributes:
        rule: Name of the rule.
        operands: The captured values by name, as tokens.
        nodes: Operators and attributes of the matched nodes.
        constants: The constants that the matched nodes read.
        size: How many nodes the model had; an ever smaller model is no circle.
    """

    rule: str
    operands: tuple[tuple[str, Any], ...]
    nodes: tuple[Any, ...]
    constants: tuple[Any, ...]
    size: int


class History:
    """For each node, the applications that led to it, with their order."""

    def __init__(self) -> None:
        self._of: dict[ir.Node, dict[Event, int]] = {}

    def before(self, match: Match) -> dict[Event, int]:
        """Return the applications on the way to a match."""
        past: dict[Event, int] = {}
        for node in match.nodes:
            past.update(self._of.get(node, {}))
        return past

    def remember(self, nodes: tuple[ir.Node, ...], past: dict[Event, int]) -> None:
        """Note how new nodes came about."""
        for node in nodes:
            self._of[node] = past


def event_of(rule: str, match: Match, size: int) -> Event:
    """Describe the application of a rule to a match, in a model of `size` nodes."""
    held = ((k, v) for k, v in match.captures.items() if isinstance(v, ir.Value))
    read = (v for node in match.nodes for v in node.inputs if v is not None)
    return Event(
        rule,
        tuple((name, _token(value)) for name, value in held),
        tuple((n.op_type, *sorted(map(str, n.attributes.values()))) for n in match.nodes),
        tuple(_content(value) for value in read if constants.is_constant(value)),
        size,
    )


def check_new(event: Event, past: dict[Event, int], match: Match) -> None:
    """Demand that an application was not made before on the way to itself.

    Raises:
        RewriteError: It was; names the rules of the circle.
    """
    if event not in past:
        return
    names = dict.fromkeys(e.rule for e, order in past.items() if order >= past[event])
    others = [name for name in names if name != event.rule]
    what = " and ".join(map(repr, [event.rule, *others]))
    raise RewriteError(
        f"Rules {what} undo each other." if others else f"Rule {what} undoes its own work.",
        where=provenance.site(match.root),
        remedy="make one rule refuse what the other builds"
        if others
        else "make it refuse what it builds itself",
    )


def _token(value: ir.Value) -> object:
    """Return an identity of a value that outlives it, so that it is never taken for a later one."""
    token: object = value.meta.setdefault(_TOKEN, object())
    return token


def _content(value: ir.Value) -> Any:
    """Return a small constant by content, since it may be all that changes; others by identity."""
    array = constants.array(value, _SMALL)
    return _token(value) if array is None else (array.shape, str(array.dtype), array.tobytes())

"""Finds the first value that differs, with a number of looks that is the logarithm of their number.

As `git bisect` does in a history with branches: a value that agrees clears all that it is computed
from, one that differs leaves only that. Values that everything goes through are looked at first:
what they say is certain, and to keep one of them disturbs few of ONNX Runtime's fusions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sardonyx.compiler.divergence.flow import Flow, main_output, members

_MOST_LOOKS = 200
_MOST_NEIGHBOURS = 3
_WORTH = 2
"""A cut is looked at rather than a branch unless that parts what is left so many times better."""


@dataclass(frozen=True)
class Verdict:
    """What a look at a value says.

    Attributes:
        differs: It is not what it should be; None where it cannot be compared.
        hides: The outputs agree when it is kept.
    """

    differs: bool | None
    hides: bool = False


@dataclass
class Search:
    """The search in one graph.

    Args:
        flow: The graph.
        named: Values that can be looked at, by the number of their node.
        look: Looks at one.

    Attributes:
        looked: What each look said.
        aside: Values that differ but after which all agrees.
        hiding: The value that has to be kept for the outputs to agree, if there is one.
    """

    flow: Flow
    named: dict[int, str]
    look: Callable[[str], Verdict]
    looked: dict[int, Verdict] = field(default_factory=dict)
    aside: list[int] = field(default_factory=list)
    hiding: int | None = None

    def first(self, end: int, agreeing: Sequence[int] = ()) -> tuple[int, list[int]]:
        """Return the first node that differs before one that does, and the last that agree.

        Args:
            end: The node that is known to differ.
            agreeing: Nodes that are known to agree.
        """
        good = list(agreeing)
        trail: list[int] = []
        while self.hiding is None and len(self.looked) < _MOST_LOOKS:
            end = self._narrow(end, good, trail)
            earlier = self._neighbour_that_differs(end, good)
            if earlier is not None:
                trail.append(end)
                # What seemed to clear it did not.
                good = [g for g in good if not self.flow.is_before(earlier, g)]
                end = earlier
                continue
            later = self._next_that_agrees(end, good, trail)
            if later is None:
                break
            self.aside.append(end)
            self.named.pop(end, None)
            good.append(later)
            end = next(t for t in reversed(trail) if self.flow.is_before(later, t))
            del trail[trail.index(end) :]
        return (self.hiding if self.hiding is not None else end), good

    def _narrow(self, end: int, good: list[int], trail: list[int]) -> int:
        """Halve what is before `end` until nothing is left to look at; returns the new end."""
        while self.hiding is None and len(self.looked) < _MOST_LOOKS:
            region = self.flow.region(end, good)
            middle = self._middle(region, end)
            if middle is None:
                return end
            verdict = self._ask(middle)
            if verdict.differs:
                trail.append(end)
                end = middle
            elif verdict.differs is not None:
                good.append(middle)
        return end

    def _middle(self, region: int, end: int) -> int | None:
        """Return what to look at next in a region."""
        open_ = [
            node
            for node in members(region)
            if node in self.named and node != end and node not in self.looked
        ]
        if not open_:
            return None
        among = sum(1 << node for node in open_)
        parts = {node: self.flow.smaller_part(node, among) for node in open_}
        best = max(open_, key=parts.__getitem__)
        cuts = [node for node in self.flow.cuts(region, end) if node in parts]
        cut = max(cuts, key=parts.__getitem__, default=best)
        return cut if _WORTH * parts[cut] >= parts[best] else best

    def _ask(self, node: int) -> Verdict:
        if node not in self.looked:
            verdict = self.looked[node] = self.look(self.named[node])
            if verdict.differs is None:
                del self.named[node]
            if verdict.hides:
                self.hiding = node
        return self.looked[node]

    def _neighbour_that_differs(self, end: int, good: Sequence[int]) -> int | None:
        """Look at the nearest values before `end` that were cleared without a look at them."""
        if self.hiding is not None:
            return None
        pending, seen, asked = set(self.flow.reads[end]), set[int](), 0
        while pending:
            # The later it is computed, the more that leads here went through it.
            node = max(pending)
            pending.remove(node)
            if node in seen or node in good or node in self.aside:
                continue
            seen.add(node)
            if node not in self.named:
                pending.update(self.flow.reads[node])
                continue
            if node not in self.looked:
                asked += 1
                if asked > _MOST_NEIGHBOURS:
                    return None
            if self._ask(node).differs:
                return node
        return None

    def _next_that_agrees(self, end: int, good: Sequence[int], trail: Sequence[int]) -> int | None:
        """Return the next cut after `end`, towards what differs later, if it agrees."""
        later = next((t for t in reversed(trail) if self.flow.is_before(end, t)), None)
        if later is None or self.hiding is not None:
            return None
        region = self.flow.region(later, [g for g in good if not self.flow.is_before(end, g)])
        for node in self.flow.cuts(region, later):
            if self.flow.is_before(end, node) and node in self.named:
                verdict = self._ask(node)
                if verdict.differs is not None:
                    return None if verdict.differs else node
        return None


def named_nodes(flow: Flow, pairs: Mapping[str, str]) -> dict[int, str]:
    """Return, for nodes by number, the value of theirs that can be looked at."""
    found: dict[int, str] = {}
    for number, node in enumerate(flow.nodes):
        names = [str(v.name) for v in node.outputs if v.name in pairs]
        main = main_output(node)
        if names:
            first = str(main.name) if main is not None and main.name in names else names[0]
            found[number] = first
    return found

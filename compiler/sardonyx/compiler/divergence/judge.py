"""Whether values of two sides agree within what the rounding of the reference explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.divergence.side import Disturbance, OnnxSide, Side, comparable, rename
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.proof.compare import Difference, Reference
from sardonyx.compiler.proof.exact import EPSILON
from sardonyx.compiler.proof.execute import Feeds

_DISTURBED_RUNS = 2
_CLEAR = 16.0
"""A difference so many times what one disturbed run explains is not explained by a second."""

_CLEARLY = 4.0
"""How many times closer outputs have to be for it to be no chance that they agree."""


class Look:
    """What one value is on either side.

    Attributes:
        name: Its name on the other side.
        key: What it is called on the side of the reference.
        difference: How it differs.
        right: What it is there.
        found: What it is here.
    """

    def __init__(
        self, name: str, key: str, difference: Difference, right: Array, found: Array
    ) -> None:
        self.name, self.key, self.difference = name, key, difference
        self.right, self.found = right, found

    @property
    def says_nothing(self) -> bool:
        """Whether they turn out to be no values that can be compared."""
        return self.right.shape != self.found.shape

    @property
    def differs(self) -> bool:
        """Whether rounding does not explain it."""
        return self.difference.ratio > 1


class Judge:
    """Compares values, and runs no more than it takes to be sure.

    Args:
        reference: Says what is right.
        other: The side that is questioned.

    Attributes:
        pairs: Outputs of the reference by those of the other side.
        runs: How often either was run.

    Raises:
        UnsupportedError: They have different numbers of outputs.
    """

    def __init__(self, reference: Side, other: OnnxSide) -> None:
        self.reference, self.other = reference, other
        named = rename({name: name for name in other.outputs}, reference.outputs, other.label)
        self.pairs = {mine: theirs for theirs, mine in named.items()}
        order = list(reference.outputs)
        self._order = [order.index(self.pairs[name]) for name in other.outputs]
        self.runs = 0
        self.rounding = _coarsest(reference.rounding, other.rounding)
        """The dtype below single precision whose rounding is allowed for; None without one."""
        self._fitted: dict[int, tuple[Feeds, Feeds, Feeds]] = {}

    def outputs(self, sample: Feeds) -> Outputs:
        """Return the outputs of both sides for a sample, and how they differ."""
        theirs, mine = self._feeds(sample)
        self.runs += 1
        found = self.other.run(mine)

        def run(how: Disturbance | None) -> list[Array]:
            made = self.reference.run(theirs, how)
            return [made[index] for index in self._order]

        return Outputs(self.pairs, found, *self._judged(self.other.outputs, found, run))

    def value(self, sample: Feeds, name: str, key: str) -> tuple[Look, list[Array]]:
        """Return how a value differs, and the outputs of the other side in the run that gave it."""
        theirs, mine = self._feeds(sample)
        self.runs += 1
        outputs, found = self.other.observe(mine, name)
        differences, right, _ = self._judged(
            [name], [found], lambda how: [self.reference.value(theirs, key, how)]
        )
        return Look(name, key, differences[0], right[0], found), outputs

    def _judged(
        self,
        names: Sequence[str],
        found: Sequence[Array],
        run: Callable[[Disturbance | None], list[Array]],
    ) -> tuple[list[Difference], list[Array], list[list[Array]]]:
        """Return how arrays differ from what the reference gives, that, and it disturbed."""
        self.runs += 1
        right = run(None)
        disturbed: list[list[Array]] = []
        while True:
            differences = differences_of(names, right, found, disturbed)
            worst = max((each.ratio for each in differences), default=0.0)
            is_clear = worst <= 1 or (bool(disturbed) and worst > _CLEAR)
            if is_clear or len(disturbed) == _DISTURBED_RUNS:
                return differences, right, disturbed
            self.runs += 1
            disturbed.append(run(Disturbance(len(disturbed), self.rounding)))

    def _feeds(self, sample: Feeds) -> tuple[Feeds, Feeds]:
        """The sample for either side; the same objects each time, since executors store them."""
        known = self._fitted.get(id(sample))
        if known is None:
            fitted = (sample, self.reference.fit(sample), self.other.fit(sample))
            known = self._fitted[id(sample)] = fitted
        return known[1], known[2]


@dataclass(frozen=True)
class Outputs:
    """The outputs of both sides for one sample.

    Attributes:
        pairs: Names of the reference's by those of the other side.
        found: Those of the other side.
        differences: How they differ.
        right: Those of the reference, in the order of the other side.
        disturbed: The same when its arithmetic is disturbed.
    """

    pairs: Mapping[str, str]
    found: Sequence[Array]
    differences: Sequence[Difference]
    right: Sequence[Array]
    disturbed: Sequence[Sequence[Array]]

    @property
    def worst(self) -> float:
        """The largest ratio of a difference."""
        return max((each.ratio for each in self.differences), default=0.0)

    def agree(self, outputs: Sequence[Array]) -> bool:
        """Say whether other outputs agree with the reference, and clearly better than these."""
        names = [each.output for each in self.differences]
        now = differences_of(names, self.right, outputs, self.disturbed)
        worst = max((each.ratio for each in now), default=0.0)
        return worst <= 1 and _CLEARLY * worst < self.worst

    def look(self, name: str) -> Look:
        """Return what an output is on either side."""
        index = [each.output for each in self.differences].index(name)
        key, difference = self.pairs[name], self.differences[index]
        return Look(name, key, difference, self.right[index], self.found[index])


def differences_of(
    names: Sequence[str],
    right: Sequence[Array],
    found: Sequence[Array],
    disturbed: Sequence[Sequence[Array]],
) -> list[Difference]:
    """Return how arrays differ, floating-point numbers compared in the wider dtype."""
    differences = []
    for index, name in enumerate(names):
        a, b = comparable(right[index], found[index])
        moved = [[comparable(run[index], found[index])[0]] for run in disturbed]
        differences += Reference([name], [a], moved).differences([b])
    return differences


def _coarsest(*dtypes: ir.DataType | None) -> ir.DataType | None:
    known = [dtype for dtype in dtypes if dtype is not None]
    return max(known, key=lambda d: EPSILON[d], default=None)

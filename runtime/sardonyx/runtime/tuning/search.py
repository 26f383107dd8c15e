"""The search: group by group with what the groups before settled, then once more from the start.

Selection and confirmation are apart. What won while it was chosen among many has had luck too, so
the choice as a whole is measured again, in fresh processes, against a fresh baseline; that alone
decides, and that alone is reported as the gain. One test at the end needs no correction for many.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from numpy.typing import NDArray

from ..child import ChildError
from .candidates import GROUPS, PRECISION, Space
from .choice import Choice
from .measure import Contender, Measurer
from .statistics import (
    FEWEST,
    ROUNDING,
    Spread,
    deviation,
    is_faster,
    spacing,
    spread,
)

ROUNDS = 5
"""Of a selection; all of them have to be won."""

HALVING = 2
"""Rounds after which contenders that are clearly behind leave."""

BEHIND, AHEAD = 0.97, 1.02
"""Median ratios: below the first a contender leaves, above the second it may be taken."""

CONFIRMATIONS = 11
SELECT_SECONDS, CONFIRM_SECONDS = 0.1, 0.3
SELECT_PART, CONFIRM_PART = 1 / 300, 1 / 100
"""Seconds of a turn, in which a slow model runs once; at most such a part of the whole time."""

FIRST_SECONDS = 120.0
"""How long the untuned session may take to load beyond the time that is given."""

PATIENCE, PATIENCE_S = 10.0, 20.0
"""How long a candidate may take to load, in loads of the slowest before it; at least so long."""

MOST_AT_ONCE = 4
"""Contenders in memory besides the one they are compared with."""

NOT_TRIED, UNFINISHED = "not tried", "time ran out"

Outputs = list[list[NDArray[Any]]]


@dataclass
class Record:
    """What became of a candidate.

    Attributes:
        group: What it belongs to.
        name: What was changed.
        choice: All settings that it ran with.
        status: ``taken``, ``not faster``, ``other outputs``, ``failed``, ``time ran out`` for one
            that was not timed often enough, or ``not tried``.
        why: The reason, where it failed.
        seconds: Median of a pass over the samples.
        ratio: How many times faster than what it was compared with.
        deviation: How far its outputs are from those of the untuned session, as a part of the
            largest element.
    """

    group: str
    name: str
    choice: Choice
    status: str = NOT_TRIED
    why: str = ""
    seconds: float | None = None
    ratio: Spread | None = None
    deviation: float | None = None


@dataclass
class Found:
    """The result of a search.

    Attributes:
        choice: The best choice; the baseline where nothing was gained.
        gain: How many times faster than the baseline, confirmed; None without a gain.
        equal: How many times faster another process was with the baseline's own settings.
        why: Why there is no gain.
        limit: How far outputs might deviate.
        records: Every candidate.
        seconds: How long it took.
    """

    choice: Choice
    limit: float
    gain: Spread | None = None
    equal: Spread | None = None
    why: str = ""
    records: list[Record] = field(default_factory=list)
    baseline_s: float = 0.0
    best_s: float = 0.0
    seconds: float = 0.0


@dataclass
class Entered:
    """A candidate in a race.

    Attributes:
        record: What becomes of it.
        contender: Its session.
        times: Seconds of a pass, one for each round.
        ratios: How many times faster than what it is compared with, one for each round.
    """

    record: Record
    contender: Contender
    times: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    def end_round(self, base: float) -> None:
        """Note what a round says, by the time of what it is compared with."""
        self.ratios.append(base / self.times[-1])
        self.record.seconds, self.record.ratio = median(self.times), spread(self.ratios)


class Search:
    """One search.

    Args:
        measurer: Loads and times contenders.
        baseline: What the untuned session is loaded with.
        space: What may be tried.
        seconds: How long all of it may take.
        accuracy: How far outputs may deviate; None for rounding alone.
        tell: Called with what is measured next.
    """

    def __init__(
        self,
        measurer: Measurer,
        baseline: Choice,
        space: Space,
        *,
        seconds: float,
        accuracy: float | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.measurer, self.baseline, self.space, self.tell = measurer, baseline, space, tell
        self._started = measurer.now()
        self._end = self._started + seconds
        self._select_s = min(SELECT_SECONDS, seconds * SELECT_PART)
        self._confirm_s = min(CONFIRM_SECONDS, seconds * CONFIRM_PART)
        self._accuracy = accuracy
        self._opens: list[float] = []
        self._passes: list[float] = []
        self._reference: Outputs = []

    def run(self) -> Found:
        """Search, confirm, and say what was found.

        Raises:
            ChildError: The untuned model does not run.
        """
        self.tell("the untuned session")
        # Without it nothing can be said, however short the time.
        with self._opened(self.baseline, self._end + FIRST_SECONDS) as first:
            self._reference = first.outputs()
            found = Found(self.baseline, self._limit(first))
            best, holder = self.baseline, first
            ready = self.measurer.now()
            with contextlib.ExitStack() as stack:
                for group, tried in GROUPS:
                    records = [
                        Record(group, name, choice) for name, choice in tried(self.space, best)
                    ]
                    found.records += records
                    taken, holder = self._contest(records, holder, found.limit, stack)
                    best = taken or best
            if best != self.baseline:
                self._confirm(best, first, found)
            else:
                found.why = "nothing that was tried is faster"
            if found.gain is None:
                found.why += self._missing(found.records, ready)
        found.seconds = self.measurer.now() - self._started
        return found

    def _missing(self, records: Sequence[Record], ready: float) -> str:
        """What there was no time for, if anything; how much the first candidate would take."""
        left = [each for each in records if each.status in (NOT_TRIED, UNFINISHED)]
        if len(left) < len(records) or not left:
            return "; the time was too short to try all" if left else ""
        turns, confirmed = 2 * ROUNDS * self._turn(SELECT_SECONDS), self._turn(CONFIRM_SECONDS)
        least = ready - self._started + turns + 4 * self._open_s + 3 * FEWEST * confirmed
        return f"; the time was too short to try any, about {math.ceil(least)} s would do for one"

    def _limit(self, first: Contender) -> float:
        """How far outputs may deviate."""
        if self._accuracy is not None:
            return self._accuracy
        moved = [spacing(self._reference)]
        # A step at one of the inputs is no rounding: half of the digits have to hold in any case.
        most = math.sqrt(moved[0])
        moved.append(deviation(first.outputs(is_disturbed=True), self._reference))
        if self.measurer.now() + self._open_s > self._end:
            return min(ROUNDING * max(moved), most)
        # Where the model does not run without optimisations, the other two have to do.
        with (
            contextlib.suppress(ChildError),
            self._opened(self.baseline.but(graph_optimization="off"), self._end) as other,
        ):
            moved.append(deviation(other.outputs(), self._reference))
        return min(ROUNDING * max(moved), most)

    @contextlib.contextmanager
    def _opened(self, choice: Choice, until: float) -> Iterator[Contender]:
        contender = self._open(choice, until)
        try:
            yield contender
        finally:
            contender.close()

    def _open(self, choice: Choice, until: float) -> Contender:
        before = self.measurer.now()
        contender = self.measurer.open(choice, max(until - before, 1.0))
        self._opens.append(self.measurer.now() - before)
        self._passes.append(contender.pass_s)
        return contender

    @property
    def _open_s(self) -> float:
        """Seconds that loading a contender takes, about."""
        return median(self._opens)

    def _turn(self, seconds: float) -> float:
        """About how long a turn of so many seconds takes."""
        return 1.25 * seconds + median(self._passes)

    def _confirmation(self) -> float:
        """When the confirmation has to begin."""
        return self._end - 2 * self._open_s - 3 * FEWEST * self._turn(self._confirm_s)

    def _contest(
        self,
        records: Sequence[Record],
        holder: Contender,
        limit: float,
        stack: contextlib.ExitStack,
    ) -> tuple[Choice | None, Contender]:
        """Compare the candidates of a group with the best so far; returns who is best then."""
        taken: Choice | None = None
        rest = list(records)
        while rest:
            some = [rest.pop(0) for _ in range(min(self._at_once(holder), len(rest)))]
            if not some:
                break
            entered: list[Entered] = []
            kept = holder
            try:
                self._enter(some, records, limit, entered)
                self._race(entered, holder)
                winner = max(filter(_is_won, entered), key=lambda e: median(e.ratios), default=None)
                if winner is not None:
                    winner.record.status = "taken"
                    taken, kept = winner.record.choice, winner.contender
                    # The holder before it, unless that is the untuned one, has done its part.
                    stack.close()
                    stack.callback(kept.close)
            finally:
                for each in entered:
                    if each.contender is not kept:
                        each.contender.close()
            holder = kept
        return taken, holder

    def _at_once(self, holder: Contender) -> int:
        """How many contenders there are time and memory for."""
        turns = ROUNDS * self._turn(self._select_s)
        left = self._confirmation() - self.measurer.now() - turns
        fits = int(left / (self._open_s + turns))
        return max(0, min(fits, MOST_AT_ONCE, max(1, self.measurer.room(holder))))

    def _enter(
        self,
        records: Sequence[Record],
        group: Sequence[Record],
        limit: float,
        entered: list[Entered],
    ) -> None:
        """Load candidates; those that fail or compute something else stay out.

        So does one that is to compute in another precision, and does not: its provider has none.
        """
        for record in records:
            self.tell(f"{record.group}: {record.name}")
            with _failing(record):
                patience = max(PATIENCE_S, PATIENCE * self._open_s)
                until = min(self._confirmation(), self.measurer.now() + patience)
                each = Entered(record, self._open(record.choice, until))
                entered.append(each)
                record.status = UNFINISHED
                record.deviation = deviation(each.contender.outputs(), self._reference)
                if record.deviation > limit:
                    record.status = "other outputs"
                elif (same := _same_precision(record, group)) is not None:
                    record.status, record.why = "not faster", f"it computes what {same.name} does"

    def _race(self, entered: Sequence[Entered], holder: Contender) -> None:
        """Time contenders in turn; each round begins with another one."""
        for number in range(ROUNDS):
            present = [each for each in entered if each.record.status == UNFINISHED]
            turn = self._turn(self._select_s) * (1 + len(present))
            if not present or self.measurer.now() + turn > self._confirmation():
                return
            order: list[Entered | None] = [None, *present]
            start = number % len(order)
            for each in order[start:] + order[:start]:
                if each is None:
                    base = holder.time(self._select_s)
                else:
                    with _failing(each.record):
                        each.times.append(each.contender.time(self._select_s))
            for each in present:
                if each.record.status == UNFINISHED:
                    each.end_round(base)
                    if number + 1 == HALVING and median(each.ratios) <= BEHIND:
                        each.record.status = "not faster"
        for each in present:
            if each.record.status == UNFINISHED:
                each.record.status = "not faster"

    def _confirm(self, best: Choice, first: Contender, found: Found) -> None:
        """Measure the choice once more, in a fresh process, against a fresh baseline."""
        self.tell("confirming what was found")
        times: dict[str, list[float]] = {"first": [], "baseline": [], "best": []}
        try:
            with (
                self._opened(self.baseline, self._end) as baseline,
                self._opened(best, self._end) as again,
            ):
                moved = deviation(again.outputs(), self._reference)
                self._take_turns({"first": first, "baseline": baseline, "best": again}, times)
        except ChildError as error:
            found.why = f"what was found fails when it is loaded again: {error.found or error.what}"
            return
        if len(times["best"]) < FEWEST:
            found.why = "the time was too short to confirm what was found"
            return
        ratios, equal = (_ratios(times["baseline"], times[name]) for name in ("best", "first"))
        found.equal, gain = spread(equal), spread(ratios)
        found.baseline_s, found.best_s = median(times["baseline"]), median(times["best"])
        if moved > found.limit:
            found.why = "the outputs of what was found are not the same at a second try"
        elif is_faster(ratios, equal):
            found.choice, found.gain = best, gain
        else:
            found.why = f"what looked faster is {gain} times faster when it is measured again"

    def _take_turns(
        self, contenders: Mapping[str, Contender], times: Mapping[str, list[float]]
    ) -> None:
        """Time contenders in turn while there is time; each round begins with another one."""
        names = list(contenders)
        for number in range(CONFIRMATIONS):
            if self.measurer.now() + len(names) * self._turn(self._confirm_s) > self._end:
                return
            start = number % len(names)
            for name in names[start:] + names[:start]:
                times[name].append(contenders[name].time(self._confirm_s))


@contextlib.contextmanager
def _failing(record: Record) -> Iterator[None]:
    """Note it in the record when a candidate fails."""
    try:
        yield
    except ChildError as error:
        record.status, record.why = "failed", error.found or error.what


def _is_won(each: Entered) -> bool:
    """Say whether a race is won: by who is ahead in each round, which chance does once in 32."""
    ratios = each.ratios
    is_timed = each.record.status == "not faster" and len(ratios) == ROUNDS
    return is_timed and min(ratios) > 1.0 and median(ratios) > AHEAD


def _same_precision(record: Record, others: Sequence[Record]) -> Record | None:
    """Another of these whose settings differ in precision alone, and whose outputs are as far."""
    for other in others:
        if other is record or other.deviation is None:
            continue
        mine, theirs = (each.choice.but(options={PRECISION: ""}) for each in (record, other))
        if mine == theirs and other.deviation == record.deviation:
            return other
    return None


def _ratios(baseline: Sequence[float], other: Sequence[float]) -> list[float]:
    return [ours / theirs for ours, theirs in zip(baseline, other, strict=True)]

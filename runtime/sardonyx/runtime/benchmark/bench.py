"""Measures models side by side: each in a process of its own, all loaded, timed in turn."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..arrays import describe
from ..child import Child
from ..distance import distance
from ..errors import SettingsError
from ..exchange import read_arrays, write_arrays
from ..machine import machine
from ..specs import Spec
from .report import Benchmark, Loaded, Measurement, Round, measurement

ROUNDS = 5
"""How often each contender has its turn: what disturbs one round disturbs all contenders."""
LEAST_CALLS = 2
"""Calls of each client in a round, however long they take."""
PATIENCE = 600.0
"""Seconds for what takes long: loading, or the first call on a device."""

Feed = Mapping[str, NDArray[Any]]
Cases = Mapping[str, Feed] | Callable[[Sequence[Spec]], Mapping[str, Feed]]


@dataclass(frozen=True)
class Contender:
    """A model and how it is loaded.

    Attributes:
        model: Path of the model.
        providers: Execution providers, as ``runtime.load`` takes them; empty for the CPU.
        options: Further options of ``runtime.load``.
        is_plain: ONNX Runtime's own session at its defaults instead, on its default providers.
    """

    model: str
    providers: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    is_plain: bool = False


def bench(
    contenders: Mapping[str, Contender],
    cases: Cases,
    *,
    clients: Sequence[int] = (1,),
    seconds: float = 3.0,
    warm_up: int = 5,
    tell: Callable[[str], None] = lambda text: None,
) -> Benchmark:
    """Measure contenders on the same inputs, each in a process of its own, in turn.

    Args:
        contenders: By name; the first is what the others are compared with.
        cases: Inputs by name for each case, or what makes them from the first model's inputs.
            Other models get them by name, or by order where their names differ.
        clients: Numbers of threads that call at the same time.
        seconds: How long each contender is measured for each case and number of clients.
        warm_up: Calls that do not count, before each case.
        tell: Is told what goes on.

    Raises:
        RunError: A model does not load or run; the message is that of its process.
        SettingsError: There is no contender, or a number makes no sense.
    """
    _check(contenders, clients, seconds, warm_up)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(_folder()))
        racers = {}
        for name, contender in contenders.items():
            tell(f"loading {name}")
            racers[name] = stack.enter_context(_racing(name, contender, folder))
        first = next(iter(racers.values()))
        made = cases(first.inputs) if callable(cases) else cases
        measured: list[Measurement] = []
        for case, feed in made.items():
            for racer in racers.values():
                racer.take(feed, warm_up)
            _compare(racers)
            for count in clients:
                tell(f"measuring {case or 'it'}, {count} client{'s' * (count > 1)}")
                rounds = race(racers, count, seconds)
                measured += [
                    measurement(name, case, count, rounds, first.rows(feed)) for name in racers
                ]
        return Benchmark(
            machine=machine().as_dict(),
            busy=load,
            cases={case: _described(feed) for case, feed in made.items()},
            contenders=tuple(racer.facts() for racer in racers.values()),
            measurements=tuple(measured),
        )


def _check(
    contenders: Mapping[str, Contender], clients: Sequence[int], seconds: float, warm_up: int
) -> None:
    if not contenders:
        raise SettingsError("there is no contender", where="bench", expected="one or more")
    if not clients or min(clients) < 1:
        _refuse("clients", list(clients), "numbers of at least 1")
    if not 0 <= seconds < math.inf:
        _refuse("seconds", seconds, "a number of at least 0")
    if warm_up < 0:
        _refuse("warm_up", warm_up, "at least 0")


def _refuse(name: str, found: object, expected: str) -> NoReturn:
    raise SettingsError(f"{name} is not valid", where="bench", found=repr(found), expected=expected)


def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True)


class Racer:
    """A contender that is loaded.

    Attributes:
        name: What it is called.
        inputs: Specs of its inputs; of plain sessions their names only.
    """

    def __init__(self, name: str, contender: Contender, child: Child, folder: Path) -> None:
        self.name = name
        self._contender, self._child, self._folder = contender, child, folder
        self._facts = child.ask(
            "open",
            PATIENCE,
            model=contender.model,
            providers=list(contender.providers) or ["cpu"],
            options=dict(contender.options),
            plain=contender.is_plain,
        )
        rows = self._facts["specs"]
        self._names = [row[0] for row in rows]
        full = [row for row in rows if len(row) > 1]
        self.inputs = [
            Spec(n, k, d, s and tuple(s), r, t, tuple(map(tuple, limits)))
            for n, k, d, s, r, t, limits in full
        ]
        self._first_s: list[float] = []
        self.difference = 0.0

    def take(self, feed: Feed, warm_up: int) -> None:
        """Take the inputs of a case."""
        names = list(feed)
        if not set(names) <= set(self._names):
            names = self._names[: len(names)]
        path = str(self._folder / "feed.npz")
        dtypes = write_arrays(path, [np.asarray(value) for value in feed.values()])
        sent = {"path": path, "names": names, "dtypes": dtypes}
        self._first_s.append(self._child.ask("case", PATIENCE, warm_up=warm_up, **sent)["first_s"])

    def time(self, seconds: float, clients: int) -> Round:
        """One round."""
        asked = {"seconds": seconds, "clients": clients, "least": LEAST_CALLS}
        answer = self._child.ask("time", PATIENCE + seconds, **asked)
        latencies = np.asarray(answer["latencies"])
        return Round(int(answer["calls"]), float(answer["wall_s"]), latencies)

    def outputs(self) -> list[NDArray[Any]]:
        """What it computes for the case."""
        path = str(self._folder / "outputs.npz")
        return read_arrays(path, self._child.ask("outputs", PATIENCE, path=path)["dtypes"])

    def rows(self, feed: Feed) -> int | None:
        """Rows of a call: the first axis of the first input, where that is dynamic."""
        for spec in self.inputs[:1]:
            if spec.shape and not isinstance(spec.shape[0], int) and spec.name in feed:
                return int(np.shape(feed[spec.name])[0])
        return None

    def facts(self) -> Loaded:
        """What is known of it apart from its times."""
        memory = self._child.ask("memory", PATIENCE)
        return Loaded(
            name=self.name,
            model=self._contender.model,
            providers=tuple(self._facts["providers"]),
            threads=self._facts["threads"],
            load_ms=self._facts["load_s"] * 1e3,
            first_call_ms=self._first_s[0] * 1e3 if self._first_s else 0.0,
            session_mb=memory["session_mb"],
            peak_mb=memory["peak_mb"],
            difference=self.difference,
        )


@contextlib.contextmanager
def _racing(name: str, contender: Contender, folder: Path) -> Iterator[Racer]:
    with Child("sardonyx.runtime.benchmark.worker") as child:
        yield Racer(name, contender, child, folder)


def race(racers: Mapping[str, Racer], clients: int, seconds: float) -> dict[str, list[Round]]:
    """Rounds of all contenders; each round begins with another one."""
    rounds: dict[str, list[Round]] = {name: [] for name in racers}
    names = list(racers)
    for number in range(ROUNDS):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            rounds[name].append(racers[name].time(seconds / ROUNDS, clients))
    return rounds


def _compare(racers: Mapping[str, Racer]) -> None:
    """Keep how far each one's outputs are from the first one's, as a part of the largest value."""
    if len(racers) < 2:
        return
    first, *others = racers.values()
    expected = first.outputs()
    for racer in others:
        found = racer.outputs()
        racer.difference = max(racer.difference, distance(found, expected))


def _described(feed: Feed) -> dict[str, str]:
    return {name: describe(value) for name, value in feed.items()}

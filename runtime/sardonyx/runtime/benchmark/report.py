"""What a benchmark says, as data and as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..profiling.table import as_text

NEEDED = {"p90_ms": 10, "p99_ms": 100}
"""Calls below which a percentile says nothing."""
BUSY = 0.5
"""Load for each core from which figures are not to be trusted."""


@dataclass(frozen=True)
class Round:
    """One turn of one contender.

    Attributes:
        calls: How many there were.
        seconds: How long it took.
        latencies: Seconds of each call, or of as many as were sent.
    """

    calls: int
    seconds: float
    latencies: NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """One contender on one case, with so many clients.

    Attributes:
        contender: Its name.
        case: The name of the case.
        clients: How many threads called at the same time.
        calls: How many calls were measured.
        min_ms: The shortest call.
        median_ms: The median call.
        p90_ms: What nine calls in ten stay below; None of fewer than 10 calls.
        p99_ms: What 99 calls in 100 stay below; None of fewer than 100 calls.
        spread: Distance of the slowest round's median to the fastest's, as a part of the median.
        calls_per_second: Calls of all clients.
        rows_per_second: Rows, where the first axis of the first input is dynamic.
        times: How many times as fast as the first contender: the median over rounds of the ratios
            of their medians. None for the first.
        times_low: The worst of the rounds.
        times_high: The best of the rounds.
    """

    contender: str
    case: str
    clients: int
    calls: int
    min_ms: float
    median_ms: float
    p90_ms: float | None
    p99_ms: float | None
    spread: float
    calls_per_second: float
    rows_per_second: float | None
    times: float | None
    times_low: float | None
    times_high: float | None


@dataclass(frozen=True)
class Loaded:
    """A contender, apart from its times.

    Attributes:
        name: Its name.
        model: Path of its model.
        providers: The execution providers that run its nodes.
        threads: Threads of its compute pool; None where ONNX Runtime chooses.
        load_ms: How long it took to load.
        first_call_ms: How long the first call took, that of the first case.
        session_mb: Megabytes that its process holds more than before it loaded the model.
        peak_mb: Megabytes that its process held at most, the interpreter and libraries included.
        difference: Largest distance of its outputs from the first contender's, as a part of the
            largest value; infinite where shapes, or values that are no floats, differ.
    """

    name: str
    model: str
    providers: tuple[str, ...]
    threads: int | None
    load_ms: float
    first_call_ms: float
    session_mb: float
    peak_mb: float
    difference: float


@dataclass(frozen=True)
class Benchmark:
    """What was measured; ``print`` shows it as tables.

    Attributes:
        machine: CPU, its features, cores, quota, devices and versions of libraries.
        busy: Load of the machine before it began: processes that want to run; None if not told.
        cases: For each case the type and shape of each input.
        contenders: What was measured, in the order given.
        measurements: The figures: case by case, clients by clients, contender by contender.
    """

    machine: Mapping[str, Any]
    busy: float | None
    cases: Mapping[str, Mapping[str, str]]
    contenders: tuple[Loaded, ...]
    measurements: tuple[Measurement, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON: an infinite difference is the text ``inf``."""
        data = asdict(self)
        for row in data["contenders"]:
            row["difference"] = row["difference"] if math.isfinite(row["difference"]) else "inf"
        return data

    def rows(self) -> list[dict[str, Any]]:
        """The figures as rows of a table."""
        return [_row(one, is_alone=len(self.contenders) == 1) for one in self.measurements]

    def __str__(self) -> str:
        return "\n".join([*self._head(), "", as_text(self.rows()), "", as_text(self._loaded())])

    def _head(self) -> list[str]:
        cores, quota = self.machine["cores"], self.machine["quota"]
        within = f" within a quota of {quota:g}" if quota else ""
        versions = self.machine["versions"]
        lines = [
            f"{self.machine['cpu'].rpartition(', ')[2]}, {cores} cores{within}; "
            f"onnxruntime {versions['onnxruntime']}, sardonyx {versions['sardonyx']}"
        ]
        lines += [
            ": ".join(filter(None, [case, ", ".join(f"{n} {text}" for n, text in inputs.items())]))
            for case, inputs in self.cases.items()
        ]
        if self.busy is not None and self.busy > BUSY * (quota or cores):
            lines.append(f"the machine was busy (load {self.busy:.1f}): figures may be far off")
        return lines

    def _loaded(self) -> list[dict[str, Any]]:
        is_alone = len(self.contenders) == 1
        return [
            {
                "model": one.name,
                "providers": ", ".join(one.providers),
                "threads": "" if one.threads is None else one.threads,
                "load ms": _digits(one.load_ms),
                "first call ms": _digits(one.first_call_ms),
                "session MB": _digits(one.session_mb),
                "peak MB": _digits(one.peak_mb),
                **({} if is_alone else {"difference": f"{one.difference:.1e}"}),
            }
            for one in self.contenders
        ]


def measurement(
    name: str, case: str, clients: int, rounds: Mapping[str, Sequence[Round]], rows: int | None
) -> Measurement:
    """The figures of one contender from everybody's rounds; the first is the reference."""
    mine = rounds[name]
    latencies = np.concatenate([one.latencies for one in mine]) * 1e3
    medians = np.array([np.median(one.latencies) for one in mine]) * 1e3
    median = float(np.median(latencies))
    calls = sum(one.calls for one in mine)
    rate = calls / sum(one.seconds for one in mine)
    first = next(iter(rounds))
    ratios = np.array([])
    if name != first:
        ratios = np.array([np.median(one.latencies) for one in rounds[first]]) * 1e3 / medians
    percentiles = {
        key: float(np.percentile(latencies, float(key[1:3]))) if calls >= needed else None
        for key, needed in NEEDED.items()
    }
    return Measurement(
        contender=name,
        case=case,
        clients=clients,
        calls=calls,
        min_ms=float(latencies.min()),
        median_ms=median,
        spread=float(np.ptp(medians)) / median,
        calls_per_second=rate,
        rows_per_second=None if rows is None else rate * rows,
        times=float(np.median(ratios)) if ratios.size else None,
        times_low=float(ratios.min()) if ratios.size else None,
        times_high=float(ratios.max()) if ratios.size else None,
        **percentiles,
    )


def _row(one: Measurement, *, is_alone: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"case": one.case} if one.case else {}
    row["clients"] = one.clients
    if not is_alone:
        row["model"] = one.contender
    row |= {
        "calls": one.calls,
        "min ms": _digits(one.min_ms),
        "median": _digits(one.median_ms),
        "p90": _digits(one.p90_ms),
        "p99": _digits(one.p99_ms),
        "spread %": _digits(100 * one.spread, 2),
        "calls/s": _digits(one.calls_per_second),
    }
    if one.rows_per_second is not None:
        row["rows/s"] = _digits(one.rows_per_second)
    if not is_alone:
        row["times"] = _digits(one.times, 3)
        low, high = _digits(one.times_low, 3), _digits(one.times_high, 3)
        row["from, to"] = "" if one.times is None else f"{low}, {high}"
    return row


def _digits(number: float | None, digits: int = 4) -> Any:
    """A number with so many digits that mean something; empty for none."""
    return "" if number is None else float(f"{number:.{digits}g}")

"""Measures contenders on one model: all loaded, each in its own process, run in turn."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import artifacts
from benchmarks.artifacts import Settings
from benchmarks.child import Child, ContenderError
from benchmarks.contenders import BASELINE, CONTENDERS, REFERENCE
from benchmarks.ratios import Rounds, in_turn, ratio, relative_error

Tell = Callable[[str], None]


class Field:
    """The contenders that are still in the race on one model.

    A contender that fails leaves with its error in its record; the others go on.
    """

    def __init__(self, model: str, settings: Settings, tell: Tell) -> None:
        self.model = model
        self.settings = settings
        self.tell = tell
        self.records: dict[str, dict[str, Any]] = {}
        self.children: dict[str, Child] = {}
        self.rounds: dict[str, Rounds] = {}
        self.inputs = str(artifacts.inputs(model, settings))
        self._stack = ExitStack()

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def enter(self, contender: str) -> None:
        """Prepare and load one contender."""
        record = self.records.setdefault(contender, {})
        row = CONTENDERS[contender]
        try:
            if self.settings.device not in row.devices:
                raise ContenderError(f"not available on {self.settings.device}")
            row.versions()
            facts = artifacts.prepare(self.model, contender, self.settings, self.tell)
            record |= {name: value for name, value in facts.items() if name != "key"}
            record["prepare_peak_rss_mb"] = record.pop("peak_rss_mb", None)
            self.tell(f"{self.model}: {row.title} loads")
            setup = artifacts.setup(self.model, contender, self.settings)
            child = Child(setup, artifacts.log(self.model, contender, self.settings, "run"))
            self.children[contender] = self._stack.enter_context(child)
            record |= child.ask("load", self.settings.timeout, inputs=self.inputs)
        except ContenderError as error:
            self.drop(contender, str(error))
        except importlib.metadata.PackageNotFoundError as missing:
            self.drop(contender, f"not available: package {missing.name} is not installed")

    def drop(self, contender: str, error: str) -> None:
        """Take a contender out and keep the reason."""
        self.records[contender]["error"] = error
        if contender in self.children:
            self.children.pop(contender).close()

    def ask(self, contender: str, do: str, **arguments: Any) -> dict[str, Any] | None:
        """One answer, or None when the contender fails and leaves."""
        try:
            return self.children[contender].ask(do, self.settings.timeout, **arguments)
        except ContenderError as error:
            self.drop(contender, str(error))
            return None

    def outputs(self, contender: str, inputs: Path | None = None) -> list[np.ndarray] | None:
        """What a contender computes from the example inputs or those of a file."""
        place = artifacts.folder(self.model, contender, self.settings) / "outputs.npz"
        sent = {"inputs": str(inputs)} if inputs else {}
        if self.ask(contender, "run", outputs=str(place), **sent) is None:
            return None
        with np.load(place, allow_pickle=False) as stored:
            return [stored[name] for name in stored.files]

    def reference(self) -> list[np.ndarray] | None:
        """What PyTorch eager computes in single precision."""
        if self.settings.precision == "fp32":
            return self.outputs(REFERENCE) if REFERENCE in self.children else None
        single = replace(self.settings, precision="fp32")
        place = artifacts.folder(self.model, REFERENCE, self.settings) / "single.npz"
        log = artifacts.log(self.model, REFERENCE, self.settings, "single")
        with (
            suppress(ContenderError),
            Child(artifacts.setup(self.model, REFERENCE, single), log) as child,
        ):
            child.ask("load", self.settings.timeout, inputs=self.inputs)
            child.ask("run", self.settings.timeout, outputs=str(place))
        if not place.exists():
            return None
        with np.load(place, allow_pickle=False) as stored:
            return [stored[name] for name in stored.files]

    def compare(self, contender: str, reference: list[np.ndarray]) -> None:
        """Record the largest error against the reference."""
        outputs = self.outputs(contender)
        if outputs is None:
            return
        try:
            self.records[contender]["relative_error"] = relative_error(outputs, reference)
        except ValueError as error:
            self.drop(contender, str(error))

    def race(self, contenders: list[str]) -> None:
        """Time the contenders in turn; each round starts with another one."""
        present = [name for name in contenders if name in self.children]

        def time(name: str) -> float | None:
            alive = name in self.children
            answer = self.ask(name, "time", seconds=self.settings.seconds) if alive else None
            return answer and answer["median_ms"]

        self.rounds = in_turn(
            present, self.settings.rounds, time, lambda said: self.tell(f"{self.model}: {said}")
        )
        for name in [name for name in present if name in self.children]:
            self.records[name] |= {
                "rounds_ms": self.rounds[name],
                "median_ms": float(np.median(self.rounds[name])),
                **(self.ask(name, "memory") or {}),
            }

    def rate(self) -> None:
        """Record each contender's ratio to the baseline."""
        baseline = self.records.get(BASELINE, {}).get("rounds_ms")
        for record in self.records.values():
            if baseline and "rounds_ms" in record:
                found = ratio(baseline, record["rounds_ms"])
                record["ratio"] = vars(found) if found else None


def prepare_ahead(
    models: Sequence[str], contenders: Sequence[str], settings: Settings, tell: Tell
) -> None:
    """Make the artifacts of all models, in as many processes as the settings allow.

    What fails fails again when its model is measured, and is recorded then.
    """

    def make(job: tuple[str, str]) -> None:
        with suppress(ContenderError, importlib.metadata.PackageNotFoundError):
            artifacts.prepare(*job, settings, tell)

    with ThreadPoolExecutor(settings.at_once) as pool:
        # What starts from another contender's artifact comes after it.
        for is_second in (False, True):
            kept = [c for c in contenders if not CONTENDERS[c].is_fresh]
            chosen = [c for c in kept if bool(CONTENDERS[c].source) == is_second]
            list(pool.map(make, [(model, c) for c in chosen for model in models]))


def measure(
    models: Sequence[str], contenders: Sequence[str], settings: Settings, tell: Tell
) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """For each model the record of each contender: times, ratio, error, nodes, seconds, memory.

    One model is loaded at a time; when the settings allow several contenders at once, all models
    are loaded before the first is timed.
    """
    everybody = list(dict.fromkeys([REFERENCE, *contenders]))
    together = len(models) if settings.at_once > 1 else 1
    for start in range(0, len(models), max(together, 1)):
        with ExitStack() as stack:
            chosen = models[start : start + together]
            fields = [stack.enter_context(Field(model, settings, tell)) for model in chosen]
            with ThreadPoolExecutor(settings.at_once) as pool:
                if settings.at_once > 1:
                    prepare_ahead(chosen, contenders, settings, tell)
                jobs = [(field, contender) for contender in everybody for field in fields]
                list(pool.map(lambda job: job[0].enter(job[1]), jobs))
            for field in fields:
                yield field.model, finish(field, list(contenders))


def finish(field: Field, contenders: list[str]) -> dict[str, dict[str, Any]]:
    """The records of a model whose contenders are loaded; ends them."""
    with field:
        field.tell(f"{field.model}: compares the outputs")
        reference = field.reference()
        is_single = field.settings.precision == "fp32"
        for contender in list(field.children):
            if reference is not None and not (is_single and contender == REFERENCE):
                field.compare(contender, reference)
        field.race(contenders)
        field.rate()
        return {name: field.records[name] for name in contenders}

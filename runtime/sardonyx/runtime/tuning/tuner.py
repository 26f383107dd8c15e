"""Tuning a model: what users call."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..child import Child, ChildError
from ..devices import providers as all_providers
from ..errors import InputError, LoadError, SettingsError
from ..machine import machine
from ..plugins import SUFFIX
from ..samples import random_inputs
from ..specs import Spec
from ..threads import thread_count
from ..tuned import KEY, Tuned
from .candidates import Space
from .choice import Choice
from .measure import Processes, Sample, mentions
from .report import Tuning
from .search import Found, Search
from .store import set_metadata

Path = str | os.PathLike[str]


class Saves(Protocol):
    """A compiled program, or anything else that writes its model to a path."""

    def save(self, path: Path) -> Any:
        """Write the model."""
        ...


@dataclass
class Tuner:
    """How to tune; call :func:`tune`, or give one to ``compiler.compile(tune=...)``.

    Attributes:
        seconds: How long it may take, all in all.
        accuracy: How far outputs may deviate from those of the untuned session, as a part of the
            largest element of the output; allows lower precision. None allows rounding alone.
        samples: Inputs by name to measure on, each a mapping; by default random ones.
        dims: Lengths of symbolic dimensions of random inputs; 1 by default.
        providers: Short names of the providers to try, the first of which runs the untuned session;
            by default the CPU, and all others that start.
        threads: The most threads a session may have; by default those of this process.
        bind: Calls are made on bound memory, on the device where there is one; CUDA graphs need it.
        tell: Called with what is measured next.
        tuning: The result of the last run.
    """

    seconds: float = 60.0
    accuracy: float | None = None
    samples: Sequence[Mapping[str, Any]] | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    providers: Sequence[str] | None = None
    threads: int | None = None
    bind: bool = False
    tell: Callable[[str], None] = lambda text: None
    tuning: Tuning | None = None

    def __call__(self, program: Saves) -> str:
        """Tune a compiled program; returns what its metadata are to carry under its key."""
        with tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True) as place:
            path = os.path.join(place, "model.onnx")
            program.save(path)
            self.tuning = self.run(path)
        return self.tuning.tuned.to_text()

    def run(self, path: Path, variants: Mapping[str, Path] | None = None) -> Tuning:
        """Tune a model file, which stays as it is."""
        began = time.monotonic()
        _check(self)
        models = {"": os.fspath(path), **{n: os.fspath(p) for n, p in (variants or {}).items()}}
        if variants and self.accuracy is None:
            raise SettingsError(
                "variants of a model need an accuracy",
                found=f"variants {', '.join(variants)}",
                expected="how far their outputs may deviate, for example accuracy=1e-2",
            )
        here = machine().as_dict()
        said = _describe(models[""], self.seconds)
        samples = self._samples([_spec(each) for each in said["inputs"]])
        names = self._providers()
        threads = self.threads or thread_count()
        space = Space(
            providers=tuple(names),
            threads=threads,
            disabled=tuple(said["disabled"]),
            is_lossy=self.accuracy is not None,
            is_bound=self.bind,
            variants=tuple(variants or ()),
            mentions=mentions(models[""]),
        )
        baseline = Choice(names[0], threads=self.threads)
        with Processes(models, samples, is_bound=self.bind) as measurer:
            search = Search(
                measurer,
                baseline,
                space,
                seconds=self.seconds - (time.monotonic() - began),
                accuracy=self.accuracy,
                tell=self.tell,
            )
            try:
                found = search.run()
            except ChildError as error:
                raise _does_not_run(models[""], error) from None
        return _tuning(models[""], baseline, found, here)

    def _samples(self, specs: Sequence[Spec]) -> list[Sample]:
        if not self.samples:
            return [random_inputs(specs, self.dims)]
        known = {spec.name for spec in specs}
        for sample in self.samples:
            strange = [name for name in sample if name not in known]
            missing = [s.name for s in specs if s.required and s.name not in sample]
            if strange or missing:
                raise InputError(
                    "a sample does not fit the model's inputs",
                    kind="unknown" if strange else "missing",
                    input=(strange or missing)[0],
                    found=", ".join(sample) or "no inputs",
                    expected=", ".join(map(str, specs)),
                )
        return [{name: np.asarray(x) for name, x in sample.items()} for sample in self.samples]

    def _providers(self) -> list[str]:
        if self.providers is not None:
            return [name.lower().removesuffix(SUFFIX.lower()) for name in self.providers]
        found = [each.name for each in all_providers(start=True) if each.problem is None]
        return ["cpu", *(name for name in found if name != "cpu")]


def tune(
    path: Path,
    samples: Sequence[Mapping[str, Any]] | None = None,
    *,
    seconds: float = 60.0,
    accuracy: float | None = None,
    dims: Mapping[str, int] | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    bind: bool = False,
    variants: Mapping[str, Path] | None = None,
    store: bool = True,
    tell: Callable[[str], None] = lambda text: None,
) -> Tuning:
    """Measure which session runs a model fastest on this machine, and note it in the model's file.

    Contenders run in processes of their own, in turn. ``load`` uses what was found wherever the
    fingerprint of the machine is the same, and ignores it with a warning elsewhere.

    Args:
        path: A model file.
        samples: Inputs by name to measure on, each a mapping; by default random ones.
        seconds: How long it may take, all in all.
        accuracy: How far outputs may deviate from those of the untuned session, as a part of the
            largest element of the output; allows lower precision. None allows rounding alone.
        dims: Lengths of symbolic dimensions of random inputs; 1 by default.
        providers: Short names of the providers to try, the first of which runs the untuned session;
            by default the CPU, and all others that start.
        threads: The most threads a session may have; by default those of this process.
        bind: Measure calls on bound memory, on the device where there is one.
        variants: Files of other forms of the model by name, such as one in half precision. One that
            wins carries the result instead; the caller loads it.
        store: Write the result into the file, which is replaced in one step.
        tell: Called with what is measured next.

    Raises:
        LoadError: The model cannot be loaded, or written.
        InputError: A sample does not fit the model.
        SettingsError: An argument is not valid.
    """
    tuner = Tuner(seconds, accuracy, samples, dims or {}, providers, threads, bind, tell)
    made = tuner.run(path, variants)
    if not store:
        return made
    target = os.fspath((variants or {})[made.variant] if made.variant else path)
    set_metadata(target, KEY, made.tuned.to_text())
    return dataclasses.replace(made, stored=target)


def _check(tuner: Tuner) -> None:
    for name, least in (("seconds", 0), ("accuracy", 0), ("threads", 1)):
        value = getattr(tuner, name)
        kinds = int if name == "threads" else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if value is not None and not (is_number and least <= value < math.inf):
            raise SettingsError(
                f"{name} is not valid", where="tune", found=repr(value), expected=f">= {least}"
            )
    if tuner.providers is not None and not list(tuner.providers):
        raise SettingsError("there is no provider to try", where="tune", expected="names, or None")


def _describe(path: str, seconds: float) -> dict[str, Any]:
    """The inputs of a model, and the optimisers that its settings switch off."""
    with Child() as child:
        try:
            return child.ask("specs", max(seconds, 60.0), model=path)
        except ChildError as error:
            raise _does_not_run(path, error) from None


def _does_not_run(path: str, error: ChildError) -> LoadError:
    return LoadError(
        f"the model cannot be tuned: {error.what}",
        where=error.where or path,
        found=error.found,
        expected=error.expected,
        remedy=error.remedy,
    )


def _spec(fields: Mapping[str, Any]) -> Spec:
    shape, limits = fields["shape"], tuple(map(tuple, fields["limits"]))
    return Spec(**{**fields, "shape": None if shape is None else tuple(shape), "limits": limits})


def _tuning(path: str, baseline: Choice, found: Found, here: Mapping[str, Any]) -> Tuning:
    best = found.choice
    gain = found.gain
    tuned = Tuned(
        provider=best.provider,
        threads=best.threads,
        settings=best.settings() if gain else {},
        gain=gain.median if gain else None,
        machine=here,
    )
    settings = best.differences(baseline) if gain else {}
    return Tuning(path, best.variant, settings, gain, tuned, "", found)

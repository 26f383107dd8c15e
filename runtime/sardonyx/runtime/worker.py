"""One session in a process of its own: reads requests as lines of JSON, answers each with one.

An exception is an answer too. Libraries that print do so into the log: answers travel on a copy of
standard output that they do not know.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from .exchange import flat, read_arrays, write_arrays
from .memory import read_memory

# y = x + x of float32[1, 4], at opset 13 and IR version 8: what every provider has a kernel for.
TINY = (
    b'\x08\x08:=\n\x0e\n\x01x\n\x01x\x12\x01y"\x03Add\x12\x01gZ\x13\n\x01x\x12\x0e\n\x0c\x08\x01'
    b"\x12\x08\n\x02\x08\x01\n\x02\x08\x04b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x01"
    b"\n\x02\x08\x04B\x04\n\x00\x10\r"
)
WARM_UP_CALLS = 2
WARM_UP_SECONDS = 0.2

Answer = dict[str, Any]


class Worker:
    """Answers the requests for one session."""

    def start(self, provider: str) -> Answer:
        """Run a tiny model on a provider, and say what its devices are."""
        import numpy as np

        from . import load
        from .devices import device_names

        x = np.arange(4, dtype=np.float32).reshape(1, 4)
        (y,) = load(TINY, provider, threads=1)(x)
        if not np.allclose(y, x + x, rtol=1e-2):
            raise ArithmeticError(f"x + x of {x.ravel()} is {y.ravel()}")
        return {"devices": device_names(provider)}

    def specs(self, model: str) -> Answer:
        """The inputs of a model, which is checked; what its settings are before tuning."""
        from dataclasses import asdict

        from . import load

        session = load(model, "cpu", threads=1, graph_optimization="off", tuned=False, cache=False)
        return {
            "inputs": [asdict(spec) for spec in session.inputs],
            "disabled": list(session.settings.disabled_optimizers),
        }

    def open(
        self, model: str, options: dict[str, Any], samples: list[Any], seconds: float
    ) -> Answer:
        """Load a model; run it on all samples, each a file, input names and dtypes; warm up."""
        from . import load

        started = time.perf_counter()
        is_bound = options.pop("bind")
        providers = [tuple(entry) for entry in options.pop("providers")]
        self.session = load(model, providers, tuned=False, verify=False, cache=False, **options)
        self.feeds = [
            dict(zip(names, read_arrays(path, dtypes), strict=True))
            for path, names, dtypes in samples
        ]
        make = self._bound if is_bound else self._call
        self.calls = [make(feed) for feed in self.feeds]
        self._pass()
        ready = time.perf_counter()
        for count in itertools.count():
            spent = time.perf_counter() - ready
            if spent > seconds or (count >= WARM_UP_CALLS and spent > WARM_UP_SECONDS):
                break
            self._pass()
        self.pass_s = self._pass()
        return {
            "load_s": ready - started,
            "pass_s": self.pass_s,
            "bytes": read_memory(None).resident or 0,
            "providers": list(self.session.providers),
        }

    def time(self, seconds: float, least: int) -> Answer:
        """Median seconds of one pass over the samples, of as many as fit, ``least`` at least."""
        if self.pass_s < seconds / 4:
            # Another process may have had the caches.
            self._pass()
        found: list[float] = []
        end = time.perf_counter() + seconds
        while len(found) < least or time.perf_counter() < end:
            found.append(self._pass())
        return {"median": median(found), "passes": len(found)}

    def outputs(self, path: str, is_disturbed: bool) -> Answer:
        """Write what the model computes on each sample; returns dtypes, one list per sample.

        Disturbed: the last digit of each number that goes in is another.
        """
        feeds = [_disturbed(feed) for feed in self.feeds] if is_disturbed else self.feeds
        results = [self._computed(call, feed) for call, feed in zip(self.calls, feeds, strict=True)]
        arrays = [[a for y in made.values() for a in flat(y)] for made in results]
        dtypes = write_arrays(path, [a for made in arrays for a in made])
        rest = iter(dtypes)
        return {"dtypes": [[next(rest) for _ in made] for made in arrays]}

    def _computed(self, call: Callable[[], Any], feed: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name, computed as they are when it is timed: a CUDA graph may be wrong."""
        from .binding import Bound
        from .device_tensors import copy_of, write_into

        if not isinstance(call, Bound) or self.session._has_narrow:
            return self.session.run_named(feed)
        for name, value in feed.items():
            write_into(call.inputs[name], value)
        call()
        return {name: copy_of(value) for name, value in call.outputs.items()}

    def _pass(self) -> float:
        started = time.perf_counter()
        for call in self.calls:
            call()
        return time.perf_counter() - started

    def _call(self, feed: dict[str, Any]) -> Callable[[], Any]:
        session = self.session
        return lambda: session.run_named(feed)

    def _bound(self, feed: dict[str, Any]) -> Callable[[], Any]:
        if "cuda" not in self.session.providers:
            # What is bound is written into, and the feed is read again.
            return self.session.bind(**{name: x.copy() for name, x in feed.items()})
        from onnxruntime import OrtValue

        values = {name: OrtValue.ortvalue_from_numpy(x, "cuda") for name, x in feed.items()}
        return self.session.bind(**values)


def _disturbed(feed: dict[str, Any]) -> dict[str, Any]:
    """The same numbers, each one step up or down; what is no float of numpy's stays."""
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        name: np.nextafter(x, np.where(rng.random(x.shape) < 0.5, np.inf, -np.inf).astype(x.dtype))
        if x.dtype.kind == "f"
        else x
        for name, x in feed.items()
    }


def _error(error: Exception) -> dict[str, Any]:
    what = getattr(error, "what", None) or f"{type(error).__name__}: {error}"
    fields = {name: getattr(error, name, None) for name in ("where", "found", "expected", "remedy")}
    return {"kind": type(error).__name__, "what": what[:2000], **fields}


def main() -> None:
    """Serve until standard input ends."""
    serve(Worker())


def serve(worker: Any) -> None:
    """Answer each request by the method of a worker that it names, until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            answer = {"error": _error(error)}
        answers.write(json.dumps(answer) + "\n")

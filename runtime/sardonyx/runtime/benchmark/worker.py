"""The process of one contender: loads its model, and times calls when it is asked to."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..exchange import flat, read_arrays, write_arrays
from ..memory import read_memory

MOST_SENT = 20_000
"""Latencies of one round that are sent; of more, as many spread evenly."""

Answer = dict[str, Any]


class BenchWorker:
    """Answers the requests for one contender."""

    def open(
        self, model: str, providers: list[Any], options: dict[str, Any], plain: bool
    ) -> Answer:
        """Load a model; ``plain`` is ONNX Runtime's own session at its defaults."""
        import onnxruntime

        gc.collect()
        self._before = read_memory(None).resident or 0
        started = time.perf_counter()
        if plain:
            session = onnxruntime.InferenceSession(model)
            inputs = session.get_inputs()
            self._call: Callable[[dict[str, Any]], Any] = lambda feed: session.run(None, feed)
            self._names = [output.name for output in session.get_outputs()]
            facts: Answer = {"threads": None, "providers": ["onnxruntime's own"]}
            facts["specs"] = [[arg.name] for arg in inputs]
        else:
            from .. import load

            own = load(
                model, [tuple(p) if isinstance(p, list) else p for p in providers], **options
            )
            self._call = lambda feed: own(**feed)
            facts = {"threads": own.settings.threads, "providers": list(own.providers)}
            facts["specs"] = [
                [s.name, s.kind, s.dtype, s.shape, s.required, s.ort_type, s.limits]
                for s in own.inputs
            ]
        return {"load_s": time.perf_counter() - started, **facts}

    def case(self, path: str, names: list[str], dtypes: list[str], warm_up: int) -> Answer:
        """Take the inputs of a case, and call once and then so many times to warm up."""
        self._feed = dict(zip(names, read_arrays(path, dtypes), strict=True))
        started = time.perf_counter()
        self._call(self._feed)
        first = time.perf_counter() - started
        for _ in range(warm_up):
            self._call(self._feed)
        return {"first_s": first}

    def time(self, seconds: float, clients: int, least: int) -> Answer:
        """Call for so long from so many threads at once; latencies of all in seconds."""
        found: list[list[float]] = [[] for _ in range(clients)]
        errors: list[BaseException] = []
        together = threading.Barrier(clients)

        def call_again_and_again(mine: list[float]) -> None:
            try:
                together.wait()
                end = time.perf_counter() + seconds
                while len(mine) < least or time.perf_counter() < end:
                    started = time.perf_counter()
                    self._call(self._feed)
                    mine.append(time.perf_counter() - started)
            except BaseException as error:
                errors.append(error)
                together.abort()

        others = [threading.Thread(target=call_again_and_again, args=[own]) for own in found[1:]]
        for thread in others:
            thread.start()
        started = time.perf_counter()
        call_again_and_again(found[0])
        for thread in others:
            thread.join()
        wall = time.perf_counter() - started
        if errors:
            # Clients that waited for one that failed have an error of their own.
            raise next(e for e in errors if not isinstance(e, threading.BrokenBarrierError))
        return {"calls": sum(map(len, found)), "wall_s": wall, "latencies": _spread_evenly(found)}

    def outputs(self, path: str) -> Answer:
        """Write what the model computes for the case."""
        arrays = [array for value in self._call(self._feed) for array in flat(value)]
        return {"dtypes": write_arrays(path, arrays)}

    def memory(self) -> Answer:
        """Megabytes that the session holds now, and the most that the process ever held."""
        now = read_memory(None)
        grown = (now.resident or 0) - self._before
        return {"session_mb": grown / 1e6, "peak_mb": (now.peak or 0) / 1e6}


def _spread_evenly(latencies: Sequence[Sequence[float]]) -> list[float]:
    every = [seconds for mine in latencies for seconds in mine]
    step = max(1, -(-len(every) // MOST_SENT))
    return every[::step]


def main() -> None:
    """Serve until standard input ends."""
    from ..worker import serve

    serve(BenchWorker())

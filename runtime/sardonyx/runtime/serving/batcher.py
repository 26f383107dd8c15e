"""Gathers the requests of many callers into batches."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ..forks import after_fork_in_child
from .arguments import check_by_name, check_number, largest_batch
from .line import Line, Request
from .pace import GAIN, Pace
from .rows import Model, check_independence, check_specs, rows_of, shape_key
from .statistics import Statistics


class Batcher:
    """Runs the requests of many threads or coroutines in batches, along axis 0 of all inputs.

    A request is a call of the model, with one row or more. Requests of the same shape wait for
    each other, for ``max_delay`` at most, and run as one batch; while it runs the next gathers.
    The sizes of batches are chosen by how long those before took, for each shape by itself: where
    a batch does no more rows a second than single calls do, requests run alone and nobody waits.
    :meth:`statistics` says which.

    That rows do not depend on each other is checked on samples when it is made. A row may still
    be rounded otherwise in a batch of another size, because kernels sum in another order.

    Use it with ``with``, or call :meth:`close`: what waits is answered first. A forked child has
    an empty line of its own; the futures of requests from before the fork are errors there.
    Callbacks of futures run in the thread that answers requests, which must not wait for any.

    Args:
        model: A session, or a session with buckets, which pads requests of different lengths.
        max_batch: Rows of a batch at most; a request of more rows runs alone. By default 32, or the
            largest bucket of a batch where that is smaller.
        max_delay: Seconds that a request waits at most for others when nothing else runs, or a
            twentieth of the time that the last batch took, where that is longer; 0: not at all.
        max_latency: Seconds after a request's arrival until which its batch shall have ended:
            batches are only as large as this allows, by what is known; None for any time.
        queue: Requests that may wait; the next is refused.
        sample: Inputs by name that the model is checked on, best of two rows; random by default.

    Raises:
        BatchError: Inputs or outputs have no batch axis, or rows depend on each other.
        InputError: The sample does not fit the model's inputs.
        SettingsError: An argument is not valid, or batches would be larger than every bucket.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_batch: int | None = None,
        max_delay: float = 0.005,
        max_latency: float | None = None,
        queue: int = 1024,
        sample: Mapping[str, Any] | None = None,
    ) -> None:
        max_batch = largest_batch(max_batch, getattr(model, "max_rows", None))
        check_number("queue", queue, is_whole=True)
        check_number("max_delay", max_delay, least=0)
        if max_latency is not None:
            check_number("max_latency", max_latency, least=0)
        if sample is not None:
            check_by_name("sample", sample)
        self._left_out = check_specs(model)
        check_independence(model, sample, self._left_out)
        self._model = model
        self._prepare = getattr(model, "prepare", None)
        self._names = [spec.name for spec in model.outputs]
        self._line = Line(
            model.run_named,
            max_batch=max_batch,
            max_delay=max_delay,
            max_latency=max_latency,
            limit=queue,
        )
        after_fork_in_child(self._line)
        # The line's thread knows the line alone, so a batcher that nobody holds is closed too.
        self._close = weakref.finalize(self, self._line.close)

    def submit(self, /, *args: Any, **named: Any) -> Future[list[Any]]:
        """Ask for one call; the future has what the call returns, or its error.

        Cancelling the future takes the request back while it waits. Inputs are read when the batch
        runs: they must not be written to before.

        Args:
            args: Inputs by position, as for a call of the session.
            named: Inputs by name.

        Raises:
            InputError: The arguments do not fit, are no arrays in CPU memory, or are for an input
                of fixed size, which keeps its default.
            QueueFullError: As many requests wait as may.
            ClosedError: The batcher is closed.
        """
        feed = self._model._bind(args, named)
        cut = None
        if self._prepare is not None:
            feed, cut = self._prepare(feed)
        rows = rows_of(feed, self._left_out)
        request = Request(feed, rows, _Finish(self._names, cut))
        self._line.put(shape_key(feed), request)
        return request.future

    def __call__(self, /, *args: Any, **named: Any) -> list[Any]:
        """Ask for one call and wait for it; outputs in order, as a session returns them.

        Raises:
            InputError, QueueFullError, ClosedError: As for :meth:`submit`.
            RunError: ONNX Runtime failed on this request, or this is a done-callback of another
                one, in the thread that answers requests.
        """
        future = self.submit(*args, **named)
        try:
            return future.result()
        except BaseException:
            # It may still wait.
            future.cancel()
            raise

    async def run_async(self, /, *args: Any, **named: Any) -> list[Any]:
        """Ask for one call and await it; a task that is cancelled takes its request back.

        Raises:
            InputError, QueueFullError, ClosedError: As for :meth:`submit`.
            RunError: ONNX Runtime failed on this request.
        """
        import asyncio

        return await asyncio.wrap_future(self.submit(*args, **named))

    def statistics(self) -> Statistics:
        """Throughput, latencies, sizes of batches, and for which shapes batching pays."""
        paces = {_text(key): group.pace for key, group in list(self._line.groups.items())}
        per_row = {shape: pace.per_row() for shape, pace in paces.items()}
        advice = [f"{shape}: {_advice(pace)}" for shape, pace in paces.items()]
        milliseconds = {
            shape: {rows: seconds * 1e3 for rows, seconds in found.items()}
            for shape, found in per_row.items()
        }
        return self._line.tally.read(milliseconds, tuple(advice))

    def close(self, *, cancel: bool = False) -> None:
        """Take no more requests; return when those that wait are answered, or cancelled."""
        self._line.close(cancel=cancel)
        self._close.detach()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(cancel=error is not None)


@dataclass(frozen=True)
class _Finish:
    """Makes a list of a request's outputs; the batcher itself is not kept alive by requests."""

    names: list[str]
    cut: Callable[[dict[str, Any]], dict[str, Any]] | None

    def __call__(self, outputs: dict[str, Any]) -> list[Any]:
        if self.cut is not None:
            outputs = self.cut(outputs)
        return [outputs[name] for name in self.names]


def _text(key: tuple[Any, ...]) -> str:
    return ", ".join(f"{name}[{', '.join(map(str, ('n', *shape)))}]" for name, shape in key)


def _advice(pace: Pace) -> str:
    """What was learned about one shape, in words."""
    known = pace.per_row()
    pays = pace.pays()
    if pays is None:
        return f"not known yet: batches of {', '.join(map(str, known)) or 'no size'} were run"
    best = min(known, key=lambda rows: known[rows])
    ratio = known[1] / known[best]
    if not pays:
        return f"batching does not pay: no batch does {GAIN:g} x the rows a second of single calls"
    return f"batching pays: {best} rows at once do {ratio:.2f} x the rows a second of single calls"

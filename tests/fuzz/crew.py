"""Processes that each do one job at a time; one that dies or takes too long is replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
_SPAWN = get_context("spawn")


@dataclass(frozen=True)
class Failure:
    """A job that gave nothing.

    Attributes:
        why: An exception, a signal, or the time it took.
    """

    why: str


class Crew(Generic[Job]):
    """Workers that call a function, each in a process of its own; use it as a context manager.

    Args:
        size: How many there are.
        work: What is done with each job; it and what it gives can be pickled.
        seconds: How long a job may take.
    """

    def __init__(self, size: int, work: Callable[[Job], Any], seconds: float) -> None:
        self._size, self._work, self._seconds = size, work, seconds
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, tuple[Job, float]] = {}

    def __enter__(self) -> Crew[Job]:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in (*self._idle, *self._busy):
            worker.end()

    def results(
        self, take: Callable[[], Job | None], *, until: float, grace: float
    ) -> Iterator[tuple[Job, Any]]:
        """Yield each job with what it gave or a `Failure`, as they are done.

        Args:
            take: Gives the next job, None if there is none until another one is done.
            until: When no more are taken, of `time.monotonic`.
            grace: How many seconds later those that still run are given up.
        """
        while True:
            self._hand_out(take, until)
            if not self._busy or time.monotonic() > until + grace:
                return
            ready = wait([w.pipe for w in self._busy], timeout=1.0)
            for worker in [w for w in self._busy if w.pipe in ready]:
                job, _ = self._busy.pop(worker)
                made = worker.answer()
                if worker.is_alive:
                    self._idle.append(worker)
                yield job, made
            now = time.monotonic()
            for worker in [
                w for w, (_, begun) in self._busy.items() if now - begun > self._seconds
            ]:
                job, _ = self._busy.pop(worker)
                worker.end()
                yield job, Failure(f"not done after {self._seconds:g} s")

    def _hand_out(self, take: Callable[[], Job | None], until: float) -> None:
        while len(self._busy) < self._size and time.monotonic() < until:
            job = take()
            if job is None:
                return
            worker = self._idle.pop() if self._idle else _Worker(self._work)
            worker.ask(job)
            self._busy[worker] = (job, time.monotonic())


class _Worker:
    """The parent's end of a process."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, work))
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self._pid = self._process.pid
        self.is_alive = True

    def ask(self, job: object) -> None:
        """Have a job done."""
        with contextlib.suppress(BrokenPipeError):  # The answer will tell.
            self.pipe.send(job)

    def answer(self) -> Any:
        """What came of the last job."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.end()
            return Failure(f"its process ended: {how}")

    def end(self) -> None:
        """End the process, and those that it started."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._process.kill()
        with contextlib.suppress(ProcessLookupError):  # It has not come to make a group.
            os.killpg(self._pid, signal.SIGKILL)
        self._process.join()
        self.pipe.close()


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    os.setpgrp()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            made = work(job)
        except Exception as error:
            made = Failure(repr(error))
        pipe.send(made)

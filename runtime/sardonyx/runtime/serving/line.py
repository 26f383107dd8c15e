"""The queue of requests and the thread that takes batches from it."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import InvalidStateError
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import ClosedError, QueueFullError
from .answer import Answer
from .pace import Pace
from .rows import Feed, join, split
from .statistics import Tally

Run = Callable[[Feed], dict[str, Any]]
Finish = Callable[[dict[str, Any]], list[Any]]

GRACE = 0.05
"""Part of the last batch's time that a request may wait for others, if that is longer."""

MOST_GROUPS = 512
"""Shapes whose pace is remembered."""

DECAY = 0.9
"""How fast a line forgets how many requests were in it at once."""


@dataclass(eq=False)
class Request:
    """One request.

    Attributes:
        feed: Its inputs, checked.
        rows: How many rows it has.
        finish: Makes what its caller gets of its outputs by name.
        future: Where they go.
        arrived: When it came, by ``time.monotonic``.
    """

    feed: Feed
    rows: int
    finish: Finish
    future: Answer = field(default_factory=Answer)
    arrived: float = field(default_factory=time.monotonic)


@dataclass
class Group:
    """Requests that can be joined, in the order in which they came, and the pace of their batches.

    Attributes:
        pace: How long batches of them took.
        last: Seconds that the last batch of them took.
        waiting: Those that wait.
    """

    pace: Pace
    last: float = 0.0
    waiting: deque[Request] = field(default_factory=deque)

    def rows(self) -> int:
        """Rows that wait."""
        return sum(request.rows for request in self.waiting)


class Line:
    """Requests that wait, by what they can be joined with, and one thread that runs batches.

    Args:
        run: Runs a batch: inputs by name to outputs by name.
        max_batch: Rows of a batch at most; a request of more rows runs alone.
        max_delay: Seconds that a request waits at most for others while the line could run it, or
            a twentieth of the time that the last batch took, where that is longer; 0: not at all.
        max_latency: Seconds after a request's arrival until which its batch shall have ended, as
            far as can be foreseen; None for any time.
        limit: Requests that may wait.
    """

    def __init__(
        self,
        run: Run,
        *,
        max_batch: int,
        max_delay: float,
        max_latency: float | None,
        limit: int,
    ) -> None:
        self._run, self.max_batch, self._max_delay = run, max_batch, max_delay
        self._max_latency, self._limit = max_latency, limit
        self.groups: dict[Any, Group] = {}
        self._is_closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Start with an empty line; a forked child has none of its parent's threads and locks."""
        self.tally = Tally()
        self._changed = threading.Condition()
        self._count = self._running = 0
        self._crowd = 1.0
        for group in self.groups.values():
            group.waiting = deque()
        self._thread = threading.Thread(target=self._work, name="sardonyx-batcher", daemon=True)
        self._is_started = False

    def put(self, key: Any, request: Request) -> None:
        """Take a request.

        Raises:
            ClosedError: The line is closed.
            QueueFullError: As many requests wait as may.
        """
        with self._changed:
            if self._is_closed:
                raise ClosedError("the batcher is closed", remedy="make another one")
            if self._count >= self._limit:
                self.tally.count("refused")
                raise QueueFullError(
                    "too many requests wait",
                    found=f"{self._count} requests",
                    expected=f"at most {self._limit}",
                    remedy="ask again later, or make the batcher with a larger queue",
                )
            if not self._is_started:
                self._thread.start()
                self._is_started = True
            group = self.groups.get(key)
            if group is None:
                self._forget()
                group = self.groups[key] = Group(Pace(self.max_batch))
            request.future.thread = self._thread.ident
            request.future.take_back = partial(self._take_back, group, request)
            group.waiting.append(request)
            self._count += 1
            self._crowd = max(self._crowd, self._count + self._running)
            self._changed.notify()

    def close(self, *, cancel: bool = False) -> None:
        """Take no more requests, and return when those that wait are answered, or cancelled."""
        cancelled: list[Request] = []
        with self._changed:
            self._is_closed = True
            if cancel:
                for group in self.groups.values():
                    cancelled += group.waiting
                    group.waiting.clear()
                for request in cancelled:
                    request.future.take_back = None
                self._count = 0
            self._changed.notify()
            is_started = self._is_started
        # Those who are told may wait for others who ask, and raise what they like.
        with ExitStack() as rest:
            if is_started and threading.current_thread() is not self._thread:
                rest.callback(self._thread.join)
            for request in reversed(cancelled):
                rest.callback(self._cancel, request)

    def _cancel(self, request: Request) -> None:
        self.tally.count("cancelled")
        try:
            request.future.cancel()
        finally:
            # Those who wait for it are told by this alone.
            request.future.set_running_or_notify_cancel()

    def _take_back(self, group: Group, request: Request) -> bool:
        """Take a request out of the line; whether it still waited."""
        with self._changed:
            try:
                group.waiting.remove(request)
            except ValueError:
                return False
            request.future.take_back = None
            self._count -= 1
            self._changed.notify()
        self.tally.count("cancelled")
        return True

    def _forget(self) -> None:
        """Forget the paces of shapes that nobody asks for, when there are many."""
        if len(self.groups) >= MOST_GROUPS:
            for key in [key for key, group in self.groups.items() if not group.waiting]:
                del self.groups[key]

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._count and not self._is_closed:
                    self._changed.wait()
                if not self._count:
                    return
                group = self._next_group()
                batch = self._take(group)
                self._running = len(batch)
            self._serve(group, batch)
            # While it waits for others it keeps nothing of these alive.
            del group, batch
            with self._changed:
                self._running = 0

    def _next_group(self) -> Group:
        """The group to run now: of those that are ready, the one whose first request is oldest."""
        while True:
            waiting = [group for group in self.groups.values() if group.waiting]
            waiting.sort(key=lambda group: group.waiting[0].arrived)
            now = time.monotonic()
            left = [group.waiting[0].arrived + self._delay(group) - now for group in waiting]
            for group, seconds in zip(waiting, left, strict=True):
                if seconds <= 0 or self._is_closed or self._is_enough(group):
                    return group
            self._changed.wait(min(*left, threading.TIMEOUT_MAX))
            if not self._count:
                # They were all cancelled.
                return waiting[0]

    def _delay(self, group: Group) -> float:
        """Seconds that the first of a group waits for others, at most."""
        # The callers of a long batch all come back when it ends, and are not there in no time.
        delay = self._max_delay and max(self._max_delay, GRACE * group.last)
        if self._max_latency is None:
            return delay
        return max(0.0, min(delay, self._max_latency - group.last))

    def _is_enough(self, group: Group) -> bool:
        """Whether more requests are not worth waiting for, or not to be expected."""
        wanted = min(group.pace.wanted(), self.max_batch)
        return group.rows() >= wanted or self._count >= int(self._crowd)

    def _take(self, group: Group) -> list[Request]:
        """The requests of a group that run together now."""
        batch: list[Request] = []
        if not group.waiting:
            return batch
        left = None
        if self._max_latency is not None:
            left = self._max_latency - (time.monotonic() - group.waiting[0].arrived)
        most = group.pace.choose(group.rows(), left)
        rows = 0
        while group.waiting and (not batch or rows + group.waiting[0].rows <= most):
            request = group.waiting.popleft()
            self._count -= 1
            # In this order, or it might be cancelled in between.
            request.future.set_running_or_notify_cancel()
            request.future.take_back = None
            batch.append(request)
            rows += request.rows
        self._crowd = max(1.0, self._crowd * DECAY, self._count + len(batch))
        return batch

    def _serve(self, group: Group, batch: Sequence[Request]) -> bool:
        """Whether a batch ran; its requests are answered, when it failed each of them by itself."""
        if not batch:
            return True
        rows = [request.rows for request in batch]
        try:
            start = time.monotonic()
            outputs = split(self._run(join([request.feed for request in batch])), rows)
            group.last = time.monotonic() - start
        except BaseException as error:
            if len(batch) == 1:
                self._fail(batch[0], error)
                return False
            ran = [self._serve(group, [request]) for request in batch]
            if all(ran):
                # No request is bad: they are too many.
                group.pace.note(sum(rows), math.inf)
            return False
        group.pace.note(sum(rows), group.last)
        self.tally.batch(sum(rows))
        for request, found in zip(batch, outputs, strict=True):
            self._answer(request, found)
        return True

    def _answer(self, request: Request, outputs: dict[str, Any]) -> None:
        try:
            answer = request.finish(outputs)
        except BaseException as error:
            self._fail(request, error)
            return
        self.tally.answer(request.rows, request.arrived)
        with suppress(InvalidStateError):
            request.future.set_result(answer)

    def _fail(self, request: Request, error: BaseException) -> None:
        self.tally.count("failed")
        with suppress(InvalidStateError):
            request.future.set_exception(error)

"""Calls that another thread makes: those that are not waited for, and those with a time limit."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from .errors import RunError
from .forks import after_fork_in_child
from .threads import thread_count

GRACE = 0.2
"""Seconds in which a call that was told to stop mostly does: after the operator it is in."""

_MANY = 1024


class Pending(Future[Any]):
    """The result of a call that another thread makes.

    ``asyncio.wrap_future`` makes it awaitable; cancelling either stops the call.
    """

    def __init__(self, options: Any) -> None:
        super().__init__()
        self._options = options
        self._is_stopped = False
        after_fork_in_child(self)

    def cancel(self) -> bool:
        """Stop the call, after the operator that it is computing; False when it is done."""
        if super().cancel():
            return True
        if self.done():
            return False
        self._is_stopped = True
        self._options.terminate = True
        return True

    def result(self, timeout: float | None = None) -> Any:
        """What the call returns; Ctrl-C while it is waited for stops the call."""
        try:
            return super().result(timeout)
        except KeyboardInterrupt:
            self.cancel()
            raise

    def after_fork(self) -> None:
        """In a forked child nobody computes it: whoever waits for it gets an error."""
        self._condition = threading.Condition()
        self._done_callbacks: list[Any] = []
        if not self.done():
            self.set_exception(
                RunError(
                    "the call was started before this process was forked",
                    remedy="wait for it in the parent process, or start it in the child",
                )
            )

    def _compute(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = function(*args)
        except BaseException as error:
            self.set_exception(CancelledError() if self._is_stopped else error)
        else:
            if self._is_stopped:
                self.set_exception(CancelledError())
            else:
                self.set_result(result)


class _Pools:
    """The threads that make calls: as many as cores for the queue, one each for calls in time."""

    def __init__(self) -> None:
        self.after_fork()
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Begin anew: a forked child has none of its parent's threads."""
        self._queue: ThreadPoolExecutor | None = None
        self._prompt: ThreadPoolExecutor | None = None

    @property
    def queue(self) -> ThreadPoolExecutor:
        if self._queue is None:
            self._queue = ThreadPoolExecutor(thread_count(), "sardonyx-call")
        return self._queue

    @property
    def prompt(self) -> ThreadPoolExecutor:
        if self._prompt is None:
            self._prompt = ThreadPoolExecutor(_MANY, "sardonyx-timed")
        return self._prompt


_POOLS = _Pools()


def start(options: Any, function: Callable[..., Any], *args: Any, is_prompt: bool) -> Pending:
    """Have another thread call a function.

    Args:
        options: ONNX Runtime's options of the run, this call's own, by which it is stopped.
        function: What to call.
        args: Its arguments.
        is_prompt: Do not wait in the queue of calls that are more than there are cores.
    """
    pending = Pending(options)
    pool = _POOLS.prompt if is_prompt else _POOLS.queue
    pool.submit(pending._compute, function, args)
    return pending


def wait(pending: Pending, timeout: float | None = None) -> Any:
    """The result, waited for in Python, where signals are handled; stops the call when it is not.

    Raises:
        TimeoutError: It was not there in time.
    """
    try:
        done, _ = concurrent.futures.wait([pending], timeout)
    except BaseException:
        pending.cancel()
        raise
    if done:
        return pending.result()
    pending.cancel()
    # Mostly nobody uses the inputs any more when the caller goes on.
    with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
        pending.exception(GRACE)
    raise TimeoutError

"""Calls that another thread makes: those that are not waited for, and those with a time limit."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from .errors import RunError
from .forks import after_fork_in_child, end_in_child
from .threads import thread_count

GRACE = 0.2
"""Seconds in which a call that was told to stop mostly does: after the operator it is in."""

_MANY = 1024


class Pending(Future[Any]):
    """The result of a call that another thread makes.

    ``asyncio.wrap_future`` makes it awaitable; cancelling either stops the call. It is done, and
    cancelled, when the call has ended: until then the inputs are read.
    """

    def __init__(self, options: Any) -> None:
        super().__init__()
        self._options = options
        self._is_stopped = self._has_ended = False
        after_fork_in_child(self)

    def cancel(self) -> bool:
        """Stop the call, after the operator that it is computing; False when it has ended."""
        if super().cancel():
            return True
        with self._condition:
            if self._has_ended:
                return self._is_stopped
            self._is_stopped = True
        self._options.terminate = True
        return True

    def cancelled(self) -> bool:
        """Whether the call was stopped, or never began."""
        return super().cancelled() or (self._is_stopped and self.done())

    def result(self, timeout: float | None = None) -> Any:
        """What the call returns; Ctrl-C while it is waited for stops the call."""
        return self._waited(super().result, timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raises, or None; Ctrl-C while it is waited for stops the call."""
        error: BaseException | None = self._waited(super().exception, timeout)
        if isinstance(error, CancelledError):
            raise error
        return error

    def _waited(self, wait: Callable[[float | None], Any], timeout: float | None) -> Any:
        try:
            return wait(timeout)
        except BaseException as error:
            # A call that has ended cannot be stopped any more; the others are still waited for.
            if timeout is None or not isinstance(error, TimeoutError):
                self.cancel()
            raise

    def after_fork(self) -> None:
        """In a forked child nobody computes it: whoever waits for it gets an error."""
        error = RunError(
            "the call was started before this process was forked",
            remedy="wait for it in the parent process, or start it in the child",
        )
        if end_in_child(self, error):
            self._is_stopped, self._has_ended = False, True

    def _compute(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = function(*args)
        except BaseException as error:
            self._end(error, None)
        else:
            self._end(None, result)

    def _end(self, problem: BaseException | None, result: Any) -> None:
        with self._condition:
            self._has_ended = True
        if self._is_stopped:
            problem = CancelledError()
        if problem is None:
            self.set_result(result)
        else:
            self.set_exception(problem)


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

    Raises:
        RunError: There is no thread for it: the process ends, or has too many.
    """
    pending = Pending(options)
    pool = _POOLS.prompt if is_prompt else _POOLS.queue
    try:
        pool.submit(pending._compute, function, args)
    except RuntimeError as error:
        pending.cancel()
        raise RunError(
            "no other thread can make this call",
            found=str(error),
            remedy="call the session itself, without a time limit",
        ) from None
    return pending


def wait(pending: Pending, timeout: float | None = None) -> Any:
    """The result, waited for in Python, where signals are handled; stops the call when it is not.

    Raises:
        TimeoutError: It was not there in time.
    """
    if timeout is not None:
        timeout = min(timeout, threading.TIMEOUT_MAX)
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

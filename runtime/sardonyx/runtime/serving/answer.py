"""The future of a request: it can be taken back, and ends whatever its callbacks do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ..errors import RunError
from ..forks import after_fork_in_child, end_in_child

Callback = Callable[[Future[list[Any]]], object]


class Answer(Future[list[Any]]):
    """What a request gets; cancelling it takes the request back while it waits.

    Attributes:
        take_back: Takes the request out of its line and says whether it was there; None outside.
        thread: The thread that answers it, which must not wait for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.take_back: Callable[[], bool] | None = None
        self.thread: int | None = None
        after_fork_in_child(self)

    def cancel(self) -> bool:
        """Take the request back; False when it runs or is answered."""
        take_back = self.take_back
        is_back = take_back is not None and take_back()
        try:
            return super().cancel()
        finally:
            if is_back:
                # Those who wait for it are told by this alone.
                self.set_running_or_notify_cancel()

    def result(self, timeout: float | None = None) -> list[Any]:
        """What the request gets.

        Raises:
            RunError: ONNX Runtime failed, or this is the thread that would answer it.
        """
        self._refuse_own_thread()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The error of the request; None when it has none.

        Raises:
            RunError: This is the thread that would answer it.
        """
        self._refuse_own_thread()
        return super().exception(timeout)

    def add_done_callback(self, fn: Callback) -> None:
        """Have a function called when it is done; one that fails is logged, and harms no other."""
        super().add_done_callback(partial(_call, fn))

    def after_fork(self) -> None:
        """In a forked child nobody answers it: whoever waits for it gets an error."""
        self.take_back = None
        error = RunError(
            "the request was made before this process was forked",
            remedy="wait for it in the parent process, or ask again in the child",
        )
        end_in_child(self, error)

    def _refuse_own_thread(self) -> None:
        if threading.get_ident() == self.thread and not self.done():
            raise RunError(
                "the thread that answers requests cannot wait for one",
                found="a call of the batcher in a done-callback of one of its futures",
                remedy="batcher.submit(...) with a done-callback, or wait in another thread",
            )


def _call(function: Callback, answer: Answer) -> None:
    """Call a caller's callback, of which ``concurrent.futures`` logs every ``Exception``."""
    try:
        function(answer)
    except Exception:
        raise
    except BaseException as error:
        if threading.get_ident() != answer.thread:
            raise
        raise RuntimeError("a callback cannot end the thread that answers requests") from error

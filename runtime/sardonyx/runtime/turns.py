"""Whose turn it is on a device: calls go side by side, but alone while a CUDA graph is captured.

CUDA records what any thread starts on the captured stream, and a capture fails when another thread
allocates memory or waits for the device meanwhile (CUDA programming guide, "Prohibited and
Unhandled Operations" of stream capture). A captured graph works in the arena of its session: the
session's other calls have to wait for it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .forks import after_fork_in_child

Turn = Callable[..., Any]
"""Calls the function that comes first with what follows it."""


class _Device:
    """The devices of this process: any number of calls at a time, or one capture."""

    def __init__(self) -> None:
        self.after_fork()
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Begin anew: a forked child has none of its parent's calls."""
        self._gate = threading.RLock()
        self._is_idle = threading.Condition()
        self._calls = 0

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Beside other calls, when nothing is being captured."""
        with self._gate, self._is_idle:
            self._calls += 1
        try:
            yield
        finally:
            with self._is_idle:
                self._calls -= 1
                self._is_idle.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """When the calls under way have ended; others wait."""
        with self._gate:
            with self._is_idle:
                self._is_idle.wait_for(lambda: not self._calls)
            yield


_DEVICE = _Device()


class Turns:
    """The turns of one session's calls on a device.

    Args:
        has_graphs: It captures CUDA graphs, and makes one call at a time.
    """

    def __init__(self, *, has_graphs: bool) -> None:
        self._has_graphs = has_graphs
        self.after_fork()
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Begin anew: who held the lock is not in a forked child."""
        self._own: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if self._has_graphs:
            self._own = threading.RLock()

    def take(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function when it is this session's turn."""
        with self._own, _DEVICE.beside():
            return function(*args)

    def take_alone(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function when nothing else of this process uses a device through a session."""
        with self._own, _DEVICE.alone():
            return function(*args)

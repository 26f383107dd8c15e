"""Ctrl-C, and SIGTERM, end a call that the main thread is making.

Python runs its signal handlers in the main thread, between two of its own instructions, so not
while ONNX Runtime computes there. But it writes the signal's number to its wakeup descriptor at
once. During a call that descriptor is ours, and a thread which reads it tells ONNX Runtime to stop;
then Python runs the handler. If the handler raises, as Ctrl-C's does, the call ends with that; if
not, the model has to be run again, where signals are handled without stopping it.

Nobody can ask whose the descriptor is without taking it. One that is somebody else's is given back
at once, with the signals that came meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
from collections.abc import Callable
from signal import getsignal, set_wakeup_fd
from typing import Any

from .denormals import Call
from .errors import is_from_handler
from .forks import after_fork_in_child

SIGNALS = frozenset(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if hasattr(signal, name)
)

STOPPED = "terminate flag"
"""How ONNX Runtime says that it was told to stop."""


class Elsewhere(Exception):
    """The call is to be made by another thread, while this one handles signals.

    Python's wakeup descriptor belongs to another library, or cannot be set; or the call was stopped
    for a handler that did not raise.
    """


class Watch:
    """Stops the main thread's call when a signal arrives that Python handles."""

    def __init__(self) -> None:
        self.main = threading.main_thread().ident
        """The thread that runs signal handlers."""
        self._running: Any = None
        self._number: int | None = None
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._strays: list[bytes] = []
        self._lock = threading.RLock()
        after_fork_in_child(self)

    def call(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], options: Any
    ) -> Any:
        """What ``call(function, args, options)`` returns; ``options`` are ONNX Runtime's.

        Raises:
            Elsewhere: Nothing was called, or what was called was stopped.
        """
        number = self._number
        if number is None:
            try:
                number = self._start()
            except RuntimeError:
                # The interpreter ends, and starts no threads any more.
                return call(function, args, options)
        try:
            before = set_wakeup_fd(number)
        except ValueError as error:
            raise Elsewhere from error
        if before not in (-1, number):
            # Whoever has a descriptor wants no warnings: asyncio, uvloop, trio.
            set_wakeup_fd(before, warn_on_full_buffer=False)
            self._hand_over(before)
            raise Elsewhere
        if self._strays:
            self._strays.clear()
        outer, self._running = self._running, options
        try:
            return call(function, args, options)
        except BaseException as error:
            # A flag that was set too late for the call before leads here too.
            if is_from_handler(error) or STOPPED not in str(error):
                # What a handler raises is not about what ONNX Runtime said when it stopped.
                error.__context__ = None
                raise
        finally:
            self._running = outer
            # Python runs the handler after this at the latest.
            set_wakeup_fd(before)
        options.terminate = False
        raise Elsewhere

    def _start(self) -> int:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        threading.Thread(target=self._read, args=(reader,), name="signals", daemon=True).start()
        self._ends, self._number = (reader, writer), writer.fileno()
        return self._number

    def _read(self, reader: socket.socket) -> None:
        # Poll needs no descriptor of its own; select knows only the first 1024.
        with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
            selector.register(reader, selectors.EVENT_READ)
            while True:
                selector.select()
                self._take(reader)

    def _take(self, reader: socket.socket) -> None:
        """Read which signals came: during a call, or while we had somebody else's place."""
        with self._lock, contextlib.suppress(BlockingIOError):
            numbers = reader.recv(64)
            options = self._running
            if options is None:
                self._strays.append(numbers)
            elif any(number in SIGNALS and callable(getsignal(number)) for number in numbers):
                options.terminate = True

    def _hand_over(self, descriptor: int) -> None:
        """Give the signals that came to us to whoever has this wakeup descriptor."""
        with self._lock:
            if self._ends is not None:
                self._take(self._ends[0])
            while self._strays:
                with contextlib.suppress(OSError):
                    os.write(descriptor, self._strays.pop(0))

    def after_fork(self) -> None:
        """Forget the parent's reader, which this process does not have."""
        self.main = threading.main_thread().ident
        self._running = self._number = None
        self._strays, self._lock = [], threading.RLock()
        if self._ends is not None:
            number = self._ends[1].fileno()
            # The thread that forked was perhaps not the one that was making a call.
            with contextlib.suppress(ValueError):
                before = set_wakeup_fd(-1)
                if before not in (-1, number):
                    set_wakeup_fd(before, warn_on_full_buffer=False)
            for end in self._ends:
                end.close()
            self._ends = None


WATCH = Watch()

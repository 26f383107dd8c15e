"""Ctrl-C, and SIGTERM, end a call that the main thread is making.

Python runs its signal handlers in the main thread, between two of its own instructions, so not
while ONNX Runtime computes there. But it writes the signal's number to its wakeup descriptor at
once. During a call that descriptor is ours, and a thread which reads it tells ONNX Runtime to stop;
then Python runs the handler. If the handler raises, as Ctrl-C's does, the call ends with that; if
not, the model is run again.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable
from signal import getsignal, set_wakeup_fd
from typing import Any

from .denormals import Call
from .forks import after_fork_in_child

SIGNALS = frozenset(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if hasattr(signal, name)
)

STOPPED = "terminate flag"
"""How ONNX Runtime says that it was told to stop."""


class Taken(Exception):
    """Python's wakeup descriptor belongs to another library, or cannot be set."""


class Watch:
    """Stops the main thread's call when a signal arrives that Python handles."""

    def __init__(self) -> None:
        self.main = threading.main_thread().ident
        """The thread that runs signal handlers."""
        self._running: Any = None
        self._number: int | None = None
        self._ends: tuple[socket.socket, socket.socket] | None = None
        after_fork_in_child(self)

    def call(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], options: Any
    ) -> Any:
        """What ``call(function, args, options)`` returns; ``options`` are ONNX Runtime's.

        Raises:
            Taken: Python's wakeup descriptor is in use; nothing was called.
        """
        number = self._number
        if number is None:
            try:
                number = self._start()
            except RuntimeError:
                # The interpreter ends, and starts no threads any more.
                return call(function, args, options)
        while True:
            try:
                before = set_wakeup_fd(number)
            except ValueError as error:
                raise Taken from error
            if before not in (-1, number):
                set_wakeup_fd(before)
                raise Taken
            outer, self._running = self._running, options
            try:
                return call(function, args, options)
            except BaseException as error:
                # A flag that was set too late for the call before leads here too.
                if STOPPED not in str(error):
                    # What a handler raises is not about what ONNX Runtime said when it stopped.
                    error.__context__ = None
                    raise
            finally:
                self._running = outer
                # Python runs the handler after this at the latest.
                set_wakeup_fd(before)
            options.terminate = False

    def _start(self) -> int:
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        threading.Thread(target=self._read, args=(reader,), name="signals", daemon=True).start()
        self._ends, self._number = (reader, writer), writer.fileno()
        return self._number

    def _read(self, reader: socket.socket) -> None:
        while numbers := reader.recv(64):
            if any(number in SIGNALS and callable(getsignal(number)) for number in numbers):
                options = self._running
                if options is not None:
                    options.terminate = True

    def after_fork(self) -> None:
        """Forget the parent's reader, which this process does not have."""
        self.main = threading.main_thread().ident
        self._running = self._number = None
        if self._ends is not None:
            number = self._ends[1].fileno()
            # The thread that forked was perhaps not the one that was making a call.
            with contextlib.suppress(ValueError):
                before = set_wakeup_fd(-1)
                if before not in (-1, number):
                    set_wakeup_fd(before)
            for end in self._ends:
                end.close()
            self._ends = None


WATCH = Watch()

"""What a forked process does with the sessions, threads and locks of its parent.

A fork copies memory but no threads. ONNX Runtime's sessions own threads, wait for them when they
are deleted, and must therefore never be deleted in the child. The library itself waits for a
thread of its own when a process exits.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from concurrent.futures import Future
from typing import Any, Protocol


class Forked(Protocol):
    """Something that has to be made ready in a forked child."""

    def after_fork(self) -> None:
        """Called in the child, where only the thread that forked exists."""
        ...


_living: weakref.WeakSet[Any] = weakref.WeakSet()


def after_fork_in_child(thing: Forked) -> None:
    """Call a thing's ``after_fork`` in each forked child, as long as the thing lives."""
    _living.add(thing)


def never_delete(*things: object) -> None:
    """Keep C++ objects for the rest of the process, and out of the interpreter's last clean-up."""
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def end_in_child(future: Future[Any], error: Exception) -> bool:
    """Give a future that nobody will end here an error; whether it needed one.

    Its lock may be held by a thread of the parent, and its waiters are there.
    """
    future._condition = threading.Condition()
    future._waiters, future._done_callbacks = [], []  # type: ignore[attr-defined]
    if future.done():
        return False
    future.set_exception(error)
    return True


def _in_child() -> None:
    for thing in list(_living):
        thing.after_fork()
    if "onnxruntime" in sys.modules:
        _exit_without_destructors()


def _exit_without_destructors() -> None:
    """End the process, when Python has ended, before the libraries' destructors: they would wait.

    C calls these functions in the opposite order, each with the exit status first.
    """
    library = ctypes.CDLL(None)
    for name in ("_exit", "fcloseall"):
        if not hasattr(library, name) or not hasattr(library, "on_exit"):
            return
        library.on_exit(ctypes.cast(getattr(library, name), ctypes.c_void_p), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)

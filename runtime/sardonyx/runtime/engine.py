"""How ONNX Runtime is called: in the right mode, so that it can be stopped, and after a fork."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Mapping
from threading import get_ident
from typing import Any

from .denormals import call_in_mode
from .errors import RunError, is_from_handler
from .forks import after_fork_in_child, never_delete
from .interrupts import WATCH, Elsewhere
from .pending import start, wait
from .turns import Turn

Renew = Callable[[], Any]


class Engine:
    """An ``onnxruntime.InferenceSession`` and its calls.

    Args:
        raw: The session.
        is_flushed: Whether denormals are zero while it computes.
        entries: ONNX Runtime's config entries of each run.
        renew: Makes the session anew in a forked child, or raises an error.
        turn: Calls a function when it is the session's turn on its devices; None: it always is.

    Attributes:
        raw: The session; in a forked child another one, made when it is first used.
        session: What is inside it: its ``run`` is the same without the checks of inputs, which
            are checked already.
    """

    def __init__(
        self,
        raw: Any,
        *,
        is_flushed: bool,
        entries: Mapping[str, str],
        renew: Renew,
        turn: Turn | None = None,
    ) -> None:
        self.raw = raw
        self._turn = turn
        self.session = raw._sess
        self._in_mode = call_in_mode(is_flushed)
        self._watch = WATCH
        self._entries = entries
        # One thread at a time is the main one; the others share options that nobody changes.
        self._main_options = self.options()
        self._shared_options = self.options() if entries else None
        self._renew = renew
        after_fork_in_child(self)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What ONNX Runtime raises, for ``except``; nothing when a signal handler raised."""
        error = sys.exception()
        return () if error is not None and is_from_handler(error) else _errors()

    def options(self, **entries: str) -> Any:
        """ONNX Runtime's options for runs of one's own; setting ``terminate`` stops them."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        for key, value in {**self._entries, **entries}.items():
            options.add_run_config_entry(key, value)
        return options

    def call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        options: Any = None,
        turn: Turn | None = None,
    ) -> Any:
        """What a function of ONNX Runtime that takes options last returns.

        In the main thread Ctrl-C stops it. ``turn`` stands in for the session's own.
        """
        turn = turn or self._turn
        if turn is not None:
            function, args = turn, (function, *args)
        if get_ident() != self._watch.main:
            return self._in_mode(function, args, options or self._shared_options)
        try:
            main_options = options or self._main_options
            return self._watch.call(self._in_mode, function, args, main_options)
        except Elsewhere:
            options = options or self.options()
        return wait(start(options, self._in_mode, function, args, options, is_prompt=True))

    def after_fork(self) -> None:
        """Leave the parent's session alone: its threads are not here."""
        never_delete(self.raw, self.session)
        self.raw = self.session = _Lost(self)

    def renewed(self, lost: _Lost) -> Any:
        """The session of this process, in the place of the parent's."""
        with lost.lock:
            if self.raw is lost:
                raw = self._renew()
                self.raw, self.session = raw, raw._sess
        return self.raw


@functools.cache
def _errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state

    own = vars(onnxruntime_pybind11_state).values()
    classes = (kind for kind in own if isinstance(kind, type) and issubclass(kind, Exception))
    return (*classes, MemoryError, RuntimeError, TypeError, ValueError)


class _Lost:
    """Stands for a session of the parent process; whoever uses it gets one of this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine.renewed(self), name)


def cannot_renew(where: str, why: str) -> RunError:
    """The error for a session that a forked child inherits and cannot make anew."""
    return RunError(
        "the session was made before this process was forked, and has no threads here",
        where=where,
        found=why,
        remedy="load the model in the child, or start processes by 'spawn' instead of 'fork'",
    )

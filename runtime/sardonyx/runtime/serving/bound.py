"""One bound call for each bucket: the same memory again, and on CUDA one graph for each."""

from __future__ import annotations

import threading
from typing import Any

from numpy.typing import NDArray

from ..binding import Bound
from ..device_tensors import copy_of, write_into
from ..forks import after_fork_in_child, never_delete
from ..session import Session
from .rows import Feed


class BoundCalls:
    """Calls of a session on memory that is bound once for each shape.

    Where the session captures CUDA graphs, inputs and outputs are copied to and from the device,
    and each shape is captured once and replayed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._calls: dict[Any, tuple[Bound, threading.Lock]] = {}
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Bind anew in a forked child: what is bound is the parent's, and its locks may be held."""
        never_delete(self._calls)
        self._lock, self._calls = threading.Lock(), {}

    def __call__(self, feed: Feed) -> dict[str, NDArray[Any]]:
        """Outputs by name; copies, since the next call writes over what was bound."""
        key = tuple((name, value.shape) for name, value in sorted(feed.items()))
        with self._lock:
            found = self._calls.get(key)
            if found is None:
                # Bound memory is the caller's: what is bound here must be nobody else's.
                own = {name: self._placed(value.copy()) for name, value in feed.items()}
                found = self._calls[key] = (self._session.bind(**own), threading.Lock())
        call, lock = found
        with lock:
            for name, value in feed.items():
                write_into(call.inputs[name], value)
            call()
            return {name: copy_of(value) for name, value in call.outputs.items()}

    def _placed(self, value: NDArray[Any]) -> Any:
        """The value where the session wants what it binds."""
        if not self._session._has_graphs:
            return value
        import onnxruntime

        options = self._session._raw.get_provider_options().get("CUDAExecutionProvider", {})
        index = int(options.get("device_id", 0))
        return onnxruntime.OrtValue.ortvalue_from_numpy(value, "cuda", index)

"""A session that tests hold up, and look into."""

from __future__ import annotations

import threading

import numpy as np

from sardonyx import runtime
from sardonyx.runtime.serving.rows import rows_of


class Gate:
    """A session whose calls of more than the first sample wait, and that counts rows."""

    def __init__(self, session):
        self.inputs, self.outputs, self._bind = session.inputs, session.outputs, session._bind
        self.session, self.sizes = session, []
        self.is_open, self.entered = threading.Event(), threading.Event()
        self.broken = None

    def run_named(self, feed, outputs=None):
        if self.is_armed():
            self.sizes.append(rows_of(feed))
            self.entered.set()
            assert self.is_open.wait(30)
        if self.broken is not None and np.any(feed["x"] == self.broken):
            raise runtime.RunError("a bad row")
        return self.session.run_named(feed, outputs)

    def is_armed(self):
        return threading.current_thread() is not threading.main_thread()


def row(*values):
    return np.float32([values])

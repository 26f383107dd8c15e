"""A process that loads files, watched: it is started anew when one kills it or never ends."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.frontends.hostile.case import relu
from tests.meta.imports import REPOSITORY, ROOTS

_WORKER = Path(__file__).with_name("worker.py")
_MOST_SECONDS = 60.0


class Watched:
    """Asks a process about one file after the other; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.deaths = 0
        self._warm = folder / "warm.onnx"
        self._warm.write_bytes(relu().SerializeToString())
        self._start()

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def ask(self, path: Path, level: str = "pass") -> dict[str, Any]:
        """Say what became of a file; a death counts, and is said under "death"."""
        answer = self._ask(path, level)
        if answer is not None:
            return answer
        self.deaths += 1
        self._end()
        code = self._process.returncode
        self._start()
        killed = code == -signal.SIGKILL
        return {"death": "it took too long" if killed else f"exit code {code}"}

    def _ask(self, path: Path, level: str) -> dict[str, Any] | None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"path": str(path), "level": level}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=_MOST_SECONDS)
        except (queue.Empty, BrokenPipeError):
            return None
        return None if line is None else json.loads(line)

    def _start(self) -> None:
        roots = os.pathsep.join([*map(str, ROOTS.values()), str(REPOSITORY)])
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": roots, "OMP_NUM_THREADS": "1"},
            text=True,
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        # What is imported late is imported now.
        assert self._ask(self._warm, "pass") is not None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

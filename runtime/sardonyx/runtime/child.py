"""The parent's end of a process in which one session lives, so that it disturbs no other.

Requests and answers are lines of JSON; arrays travel in .npz files. What a library prints, or that
it takes the process with it, is seen here and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import RunError

# Nothing but sys is imported before the path is the parent's: the current folder is not on it.
_BOOT = (
    "import sys; sys.path[:] = sys.argv[1].split(chr(10)); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)


class ChildError(RunError):
    """The process answered with an error, died, or took too long.

    Attributes:
        kind: Name of the error's class in the process; empty if it did not answer.
    """

    kind = ""


class Child:
    """A process that loads one model; use it as a context manager, so that it always ends.

    Args:
        worker: The module whose ``main`` answers there.
        arguments: What it finds at the end of ``sys.argv``.
        environment: Variables that are set for it.
        log: The file that what it prints is kept in.
    """

    def __init__(
        self,
        worker: str = "sardonyx.runtime.worker",
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self._log = tempfile.TemporaryFile() if log is None else log.open("w+b")  # noqa: SIM115
        path = "\n".join(map(os.path.abspath, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, path, worker, *arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ask(self, do: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            ChildError: It failed; after a time-out the process has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=max(timeout, 0.1))
        except queue.Empty:
            self._process.kill()
            raise ChildError(f"no answer within {timeout:.0f} s", where=do) from None
        except OSError:
            line = None
        if line is None:
            code = self._process.wait()
            said = self._last_words() or None
            raise ChildError(f"the process ended with code {code}", where=do, found=said)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            fields = answer["error"]
            error = ChildError(fields.pop("what"), **{k: fields.get(k) for k in _FIELDS})
            error.kind = fields["kind"]
            raise error
        return answer

    def close(self) -> None:
        """End the process: politely, then not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        return " | ".join(line.strip() for line in lines if line.strip())[-300:]


_FIELDS = ("where", "found", "expected", "remedy")

"""The parent's end of a worker process."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.machine import REPOSITORY


class ContenderError(Exception):
    """A contender raised, died or took too long; the message says which."""


class Child:
    """A worker process; use it as a context manager, so that it always ends.

    Args:
        setup: model, contender, folder, source, threads and device, as `worker.py` reads them.
        log: Where what the worker and its libraries print goes.
    """

    def __init__(self, setup: dict[str, Any], log: Path) -> None:
        threads = str(setup["threads"])
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
        }
        log.parent.mkdir(parents=True, exist_ok=True)
        self.name = setup["contender"]
        self._log = log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(setup)],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def ask(self, do: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; raises ContenderError."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            self._process.kill()
            raise ContenderError(f"{do}: no answer within {timeout:.0f} s") from None
        except BrokenPipeError:
            line = None
        if line is None:
            code = self._process.wait()
            raise ContenderError(f"{do}: the process ended with code {code}; {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(f"{do}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        lines = Path(self._log.name).read_text(encoding="utf-8", errors="replace").split("\n")
        return " | ".join(line for line in lines if line.strip())[-300:]

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process: politely, then not."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._log.close()

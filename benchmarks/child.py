"""The parent's end of a worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sardonyx.runtime import child
from sardonyx.runtime.child import ChildError


class ContenderError(Exception):
    """A contender raised, died or took too long; the message says which."""


class Child(child.Child):
    """A process for one contender.

    Args:
        setup: model, contender, folder, source, threads and device, as `worker.py` reads them.
        log: Where what the worker and its libraries print goes.
    """

    def __init__(self, setup: dict[str, Any], log: Path) -> None:
        threads = str(setup["threads"])
        environment = {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
        }
        log.parent.mkdir(parents=True, exist_ok=True)
        super().__init__("benchmarks.worker", json.dumps(setup), environment=environment, log=log)

    def ask(self, do: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; raises ContenderError."""
        try:
            return super().ask(do, timeout, **arguments)
        except ChildError as error:
            said = f"; {error.found}" if error.found else ""
            raise ContenderError(f"{do}: {error.what}{said}") from None

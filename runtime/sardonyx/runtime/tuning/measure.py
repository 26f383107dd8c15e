"""Contenders in processes of their own, for the search to time in turn."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ..child import Child
from ..exchange import read_arrays, write_arrays
from .choice import Choice

Sample = Mapping[str, NDArray[Any]]
MEMINFO = Path("/proc/meminfo")
WARM_UP_SECONDS = 1.0


class Contender(Protocol):
    """A session that is loaded and warm.

    Attributes:
        pass_s: Seconds of one pass over the samples, about.
        bytes: Memory that it holds; 0 where that is not known.
    """

    pass_s: float
    bytes: int

    def time(self, seconds: float) -> float:
        """Median seconds of a pass, of as many as fit into about so many seconds."""
        ...

    def outputs(self, is_disturbed: bool = False) -> list[list[NDArray[Any]]]:
        """For each sample what the model computes, on inputs disturbed in the last digit."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Measurer(Protocol):
    """Makes contenders, and tells the time; a test has one that needs no time."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
        ...

    def room(self, contender: Contender) -> int:
        """How many contenders of that size the memory has room for besides it."""
        ...

    def open(self, choice: Choice, seconds: float) -> Contender:
        """Load a contender within so many seconds.

        Raises:
            ChildError: It does not load or run.
        """
        ...


class ProcessContender:
    """A session in a process of its own."""

    def __init__(
        self, child: Child, answer: Mapping[str, Any], folder: Path, patience: float
    ) -> None:
        self.pass_s = float(answer["pass_s"])
        self.bytes = int(answer["bytes"])
        self._child, self._folder, self._patience = child, folder, patience

    def time(self, seconds: float) -> float:
        """Median seconds of a pass, of as many as fit into about so many seconds."""
        patience = self._patience + seconds
        return float(self._child.ask("time", patience, seconds=seconds, least=1)["median"])

    def outputs(self, is_disturbed: bool = False) -> list[list[NDArray[Any]]]:
        """For each sample what the model computes."""
        path = self._folder / "outputs.npz"
        answer = self._child.ask(
            "outputs", self._patience, path=str(path), is_disturbed=is_disturbed
        )
        dtypes: list[list[str]] = answer["dtypes"]
        arrays = iter(read_arrays(path, [name for each in dtypes for name in each]))
        path.unlink()
        return [[next(arrays) for _ in each] for each in dtypes]

    def close(self) -> None:
        """End the process."""
        self._child.close()


class Processes:
    """Measures a model file and its variants; use it as a context manager.

    Args:
        models: Path of the model (under the empty name) and of its variants.
        samples: Inputs by name, tensors each.
        is_bound: Calls are made on bound memory, on the device where there is one.
        patience: Seconds that one request may take beyond what it asks for.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        samples: Sequence[Sample],
        *,
        is_bound: bool = False,
        patience: float = 60.0,
    ) -> None:
        self._models, self._is_bound, self._patience = models, is_bound, patience
        self._place = tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True)
        self._folder = Path(self._place.name)
        self._samples = [self._write(number, sample) for number, sample in enumerate(samples)]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exception: object) -> None:
        self._place.cleanup()

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()

    def room(self, contender: Contender) -> int:
        """How many contenders of that size the memory has room for besides it."""
        found = re.search(r"^MemAvailable:\s*(\d+) kB", _read(MEMINFO), re.MULTILINE)
        if not found or not contender.bytes:
            return 1
        return int(0.8 * int(found[1]) * 1024 / contender.bytes)

    def open(self, choice: Choice, seconds: float) -> ProcessContender:
        """Load a contender in a process of its own."""
        child = Child()
        try:
            answer = child.ask(
                "open",
                seconds,
                model=self._models[choice.variant],
                options={**choice.load_options(), "bind": self._is_bound},
                samples=self._samples,
                seconds=min(WARM_UP_SECONDS, seconds / 10),
            )
        except BaseException:
            child.close()
            raise
        return ProcessContender(child, answer, self._folder, self._patience)

    def _write(self, number: int, sample: Sample) -> tuple[str, list[str], list[str]]:
        path = self._folder / f"sample-{number}.npz"
        return str(path), list(sample), write_arrays(path, list(sample.values()))


def mentions(path: str | os.PathLike[str], limit: int = 1 << 30) -> Any:
    """Whether a model's file has the name of an operator in it, which it has if it uses it."""
    with open(path, "rb") as file:
        data = file.read(limit)
    return lambda name: name.encode() in data


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""

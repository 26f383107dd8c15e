"""How much memory a session's process uses, and how to give back what it does not need."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import Engine
from .interrupts import STOPPED

PROCESS = Path("/proc/self")
SHRINKAGE = "memory.enable_memory_arena_shrinkage"
NO_ARENA = "arena based allocator"
"""How ONNX Runtime says that a device has no arena."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a process has in memory, as the system counts them; None where it does not say.

    Attributes:
        resident: All of it.
        private: What is no file: weights that ONNX Runtime copied or packed, arenas, Python. No
            other process has it.
        mapped: Pages of files, libraries and prepared weights among them. Sessions and processes
            that map the same file have them once, and the system takes them back when it must.
        weights: Of these, the prepared weights of the session that was asked; None if it has none.
        peak: The most that was ever resident.
    """

    resident: int | None
    private: int | None
    mapped: int | None
    weights: int | None
    peak: int | None

    def __str__(self) -> str:
        rows = {
            "resident": self.resident,
            "private": self.private,
            "mapped": self.mapped,
            "weights": self.weights,
            "peak": self.peak,
        }
        width = max(map(len, rows))
        return "\n".join(
            f"{name:{width}}  {'-' if size is None else f'{size / 2**20:,.1f} MiB'}"
            for name, size in rows.items()
        )


def read_memory(folder: Path | None) -> Memory:
    """What this process has in memory.

    Args:
        folder: Where the prepared weights of a session are mapped from; None for none.
    """
    totals = _fields(_read("smaps_rollup"))
    resident, private = totals.get("Rss"), totals.get("Anonymous")
    peak = _fields(_read("status")).get("VmHWM", _peak())
    weights = None
    if folder is not None:
        weights = _mapped_from(_read("smaps"), f"{folder.resolve()}/")
    mapped = None if resident is None or private is None else resident - private
    return Memory(resident, private, mapped, weights, peak)


def shrink(engine: Engine, feed: Mapping[str, Any]) -> int:
    """Give back what the arenas of a session hold and no tensor is in; returns how much that was.

    ONNX Runtime does so at the end of a run; this one is stopped before its first operator.

    Args:
        engine: The session and its calls.
        feed: Inputs of any sizes.

    Raises:
        Exception: ONNX Runtime's refusal of the inputs.
    """
    before = read_memory(None).private or 0
    options = engine.options(**{SHRINKAGE: ";".join(_arenas(engine.raw))})
    options.terminate = True
    try:
        engine.raw.run(None, dict(feed), options)
    except Exception as error:
        text = str(error)
        if STOPPED not in text and NO_ARENA not in text:
            raise
    _trim()
    return max(0, before - (read_memory(None).private or 0))


def _arenas(raw: Any) -> Iterator[str]:
    """The devices of a session that have an arena which can be shrunk: no graph works in it."""
    yield "cpu:0"
    cuda = raw.get_provider_options().get("CUDAExecutionProvider")
    if cuda is not None and cuda.get("enable_cuda_graph", "0") != "1":
        yield f"gpu:{cuda.get('device_id', '0')}"


def _trim() -> None:
    """Give back what the C library keeps of freed memory, where it can be asked to."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _fields(text: str) -> dict[str, int]:
    """Bytes by name of lines such as ``Rss:  12 kB``."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(size) << 10 for name, size in found}


def _mapped_from(smaps: str, prefix: str) -> int:
    """Resident bytes of the mappings of files below a folder."""
    total, is_inside = 0, False
    for line in smaps.splitlines():
        head, _, rest = line.partition(" ")
        if not head.endswith(":"):
            is_inside = prefix in line
        elif is_inside and head == "Rss:":
            total += int(rest.split()[0]) << 10
    return total


def _peak() -> int | None:
    with contextlib.suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak << 10
    return None


def _read(name: str) -> str:
    with contextlib.suppress(OSError):
        return (PROCESS / name).read_text(encoding="utf-8", errors="replace")
    return ""

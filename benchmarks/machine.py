"""What a result was measured on: hardware without a name or address, and versions."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, version

REPOSITORY = Path(__file__).resolve().parents[1]
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def describe() -> dict[str, Any]:
    """The machine and the versions of every contender's packages."""
    packages = sorted({name for row in CONTENDERS.values() for name in row.packages})
    versions = {"python": platform.python_version()}
    for name in ("numpy", "transformers", *packages):
        with contextlib.suppress(ModuleNotFoundError):
            versions[name] = version(name)
    found = {"cpu": _cpu(), "memory_gb": _memory_gb(), "os": platform.system()}
    device = _gpu()
    return {**found, **({"gpu": device} if device else {}), "versions": versions}


def _gpu() -> str | None:
    """The first NVIDIA device and its driver."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError, IndexError):
        done = subprocess.run(query, capture_output=True, text=True, check=True)
        name, memory, driver = done.stdout.splitlines()[0].split(", ")
        return f"{name}, {memory}, driver {driver}"
    return None


def _cpu() -> dict[str, Any]:
    text = _read("/proc/cpuinfo")
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    return {
        "name": name[1] if name else platform.processor() or platform.machine(),
        "cores": usable_cores(),
        "features": [feature for feature in FEATURES if feature in known],
    }


def usable_cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_gb() -> float | None:
    total = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return round(int(total[1]) / 2**20, 1) if total else None


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8")
    return ""


def fingerprint(*folders: str) -> str:
    """A short hash of the Python sources below some folders or files of the repository."""
    digest = hashlib.sha256()
    for folder in folders:
        place = REPOSITORY / folder
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(str(path.relative_to(REPOSITORY)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]

"""What measurements, and models prepared for one machine, are valid on: its fingerprint."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .plugins import built_in, installed
from .threads import allowed_cpus, cpu_quota, physical_cores

CPUINFO = Path("/proc/cpuinfo")
NVIDIA = Path("/proc/driver/nvidia")
# Of a CPU's flags, those that choose kernels; the others come and go with the kernel of the system.
FEATURES = re.compile(
    r"(sse|ssse|avx|amx|fma|f16c|bmi|vnni|gfni|vaes)\w*"
    r"|(asimd|sve|sme(?!p)|fphp|i8mm|bf16|neon|vfp)\w*"
)
IDENTITY = {
    "vendor_id": "",
    "cpu family": "family ",
    "model": "model ",
    "stepping": "stepping ",
    "CPU implementer": "implementer ",
    "CPU part": "part ",
    "model name": "",
}
"""Fields of ``/proc/cpuinfo`` that say which CPU it is, with what to call them."""


@dataclass(frozen=True)
class Machine:
    """The machine as far as speed and the layout of prepared weights depend on it.

    Attributes:
        cpu: Which CPU it is: vendor, family, model, name.
        features: Its instruction sets, sorted.
        cores: Physical cores that this process may use.
        quota: CPUs' worth of time that its cgroup may use; None without a limit.
        devices: Accelerators, with the version of their driver.
        versions: Versions of ONNX Runtime, of its providers and of Sardonyx, by name.
    """

    cpu: str
    features: tuple[str, ...]
    cores: int
    quota: float | None
    devices: tuple[str, ...]
    versions: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found


def machine() -> Machine:
    """This machine, as this process sees it; imports onnxruntime for its version."""
    cpu, features = cpu_and_features()
    return Machine(
        cpu=cpu,
        features=features,
        cores=physical_cores(allowed_cpus()),
        quota=cpu_quota(),
        devices=_devices(),
        versions=versions(),
    )


def cpu_name() -> str:
    """The name of the processor alone."""
    return cpu_and_features()[0].rpartition(", ")[2]


def versions() -> dict[str, str]:
    """Versions of the libraries that decide how a model runs."""
    return {
        **onnxruntime_versions(),
        "providers": ",".join(built_in()),
        "plugins": ", ".join(f"{name} {version}" for name, version in installed()),
        "sardonyx": own_version(),
    }


def onnxruntime_versions() -> dict[str, str]:
    """Version and build of ONNX Runtime."""
    import onnxruntime

    return {
        "onnxruntime": str(onnxruntime.__version__),
        "build": str(onnxruntime.get_build_info()),
    }


def own_version() -> str:
    """The version of Sardonyx; ``0`` where it runs without being installed."""
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("sardonyx")
    return "0"


def digest(*parts: Any) -> str:
    """SHA-256 of values that JSON can write, in hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def cpu_and_features() -> tuple[str, tuple[str, ...]]:
    """Which CPU it is, and its features; what Python knows where there is no /proc."""
    rows: dict[str, str] = {}
    for line in _read(CPUINFO).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            rows.setdefault(name.strip(), value.strip())
        elif rows:
            break  # The first CPU speaks for all.
    flags = rows.get("flags", rows.get("Features", "")).split()
    words = [f"{label}{rows[name]}" for name, label in IDENTITY.items() if name in rows]
    names = words or [platform.processor(), os.environ.get("PROCESSOR_IDENTIFIER", "")]
    name = ", ".join([platform.machine(), sys.platform, *filter(None, names)])
    return name, tuple(sorted({flag for flag in flags if FEATURES.fullmatch(flag)}))


def _devices() -> tuple[str, ...]:
    """NVIDIA devices with their driver, as the driver's files name them."""
    driver = re.search(r"\b\d+(\.\d+)+\b", _read(NVIDIA / "version"))
    models = [
        line.partition(":")[2].strip()
        for path in sorted(NVIDIA.glob("gpus/*/information"))
        for line in _read(path).splitlines()
        if line.startswith("Model:")
    ]
    version = f", driver {driver[0]}" if driver else ""
    return tuple(f"{model}{version}" for model in models)


def _read(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""

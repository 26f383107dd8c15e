"""Sessions, providers, tuning, profiling and artifacts: everything after export.

Needs numpy and onnxruntime only; onnxruntime is imported when the first model is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .binding import Bound
from .devices import Provider, providers
from .errors import (
    BatchError,
    ClosedError,
    InputError,
    IntegrityError,
    LoadError,
    NotPicklableError,
    OutOfMemoryError,
    ProviderError,
    QueueFullError,
    RunError,
    RunTimeoutError,
    SardonyxError,
    SettingsError,
)
from .integrity import check_integrity
from .loading import load
from .placement import Placement
from .session import Session
from .settings import Settings
from .specs import Spec

if TYPE_CHECKING:
    from .serving import Batcher, Buckets, Statistics
    from .tuning import Tuner, Tuning, tune

# Imported when they are asked for: a process that runs models may never need them.
_LATE = {
    "Batcher": "serving",
    "Buckets": "serving",
    "Statistics": "serving",
    "Tuner": "tuning",
    "Tuning": "tuning",
    "tune": "tuning",
}

__all__ = [
    "BatchError",
    "Batcher",
    "Bound",
    "Buckets",
    "ClosedError",
    "InputError",
    "IntegrityError",
    "LoadError",
    "NotPicklableError",
    "OutOfMemoryError",
    "Placement",
    "Provider",
    "ProviderError",
    "QueueFullError",
    "RunError",
    "RunTimeoutError",
    "SardonyxError",
    "Session",
    "Settings",
    "SettingsError",
    "Spec",
    "Statistics",
    "Tuner",
    "Tuning",
    "check_integrity",
    "load",
    "providers",
    "tune",
]


def __getattr__(name: str) -> Any:
    """The names of ``_LATE``."""
    if name in _LATE:
        return getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

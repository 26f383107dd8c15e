"""Sessions, providers, tuning, profiling and artifacts: everything after export.

Needs numpy and onnxruntime only; onnxruntime is imported when the first model is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .binding import Bound
from .devices import Provider, providers
from .errors import (
    InputError,
    IntegrityError,
    LoadError,
    OutOfMemoryError,
    ProviderError,
    RunError,
    SardonyxError,
    SettingsError,
)
from .integrity import check_integrity
from .loading import load
from .session import Session
from .settings import Settings
from .specs import Spec

if TYPE_CHECKING:
    from .tuning import Tuner, Tuning, tune

__all__ = [
    "Bound",
    "InputError",
    "IntegrityError",
    "LoadError",
    "OutOfMemoryError",
    "Provider",
    "ProviderError",
    "RunError",
    "SardonyxError",
    "Session",
    "Settings",
    "SettingsError",
    "Spec",
    "Tuner",
    "Tuning",
    "check_integrity",
    "load",
    "providers",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Tuning, which a process that runs models never needs, is imported when it is asked for."""
    if name in ("Tuner", "Tuning", "tune"):
        from . import tuning

        return getattr(tuning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Sessions, providers, tuning, profiling and artifacts: everything after export.

Needs numpy and onnxruntime only; onnxruntime is imported when the first model is loaded.
"""

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
    "check_integrity",
    "load",
    "providers",
]

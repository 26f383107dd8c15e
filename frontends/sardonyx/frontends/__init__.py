"""The ways in: PyTorch modules, ONNX models and Sardonyx's own language."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sardonyx.frontends import dsl as dsl
    from sardonyx.frontends.comparing import compare as compare
    from sardonyx.frontends.comparing import verify as verify
    from sardonyx.frontends.onnx_file import Limits as Limits
    from sardonyx.frontends.onnx_file import from_onnx as from_onnx
    from sardonyx.frontends.torch import from_torch as from_torch

__all__ = ["Limits", "compare", "dsl", "from_onnx", "from_torch", "verify"]

_LAZY: dict[str, tuple[str, str | None]] = {
    # Name: (module, its name there or None for the module itself). Importing one way in does
    # not load the others.
    "compare": ("sardonyx.frontends.comparing", "compare"),
    "dsl": ("sardonyx.frontends.dsl", None),
    "Limits": ("sardonyx.frontends.onnx_file", "Limits"),
    "from_onnx": ("sardonyx.frontends.onnx_file", "from_onnx"),
    "from_torch": ("sardonyx.frontends.torch", "from_torch"),
    "verify": ("sardonyx.frontends.comparing", "verify"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    path, attribute = _LAZY[name]
    module = importlib.import_module(path)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})

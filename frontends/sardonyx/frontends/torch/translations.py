"""Our own lowerings of ATen operators, where the exporter's are wrong or missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {}

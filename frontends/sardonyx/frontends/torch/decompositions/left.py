"""The answer of a decomposition that leaves a call to the exporter."""

from __future__ import annotations

from typing import NoReturn

LEFT: NoReturn = NotImplemented
"""Its type fits wherever a tensor is declared to be returned."""

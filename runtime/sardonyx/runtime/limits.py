"""The sizes that a model was captured for, of the dynamic dimensions that have limits.

The model carries them: outside of them it may compute something else than what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import LoadError

KEY = "sardonyx.dims"
"""Key of a model's metadata: ``{"seq": {"min": 2, "max": 512}}``."""

Limits = Mapping[str, tuple[int, int | None]]
"""Least and largest size by symbolic name; None where there is no largest."""


def read_limits(metadata: Mapping[str, str], where: str) -> Limits:
    """The limits in a model's metadata.

    Raises:
        LoadError: They are not of their form.
    """
    try:
        carried = json.loads(metadata.get(KEY, "{}"))
        found = {name: (held.get("min", 0), held.get("max")) for name, held in carried.items()}
    except (ValueError, RecursionError, AttributeError) as error:
        raise _damaged(where, str(error)) from None
    for name, (least, most) in found.items():
        if not (_is_size(least) and (most is None or (_is_size(most) and least <= most))):
            raise _damaged(where, f"'{name}' from {least!r} to {most!r}")
    return found


def limits_text(name: str, least: int, most: int | None) -> str:
    """What sizes a dimension may have, as text."""
    if most is None:
        return f"{name} of at least {least}"
    return f"{name} from {least} to {most}" if least else f"{name} of at most {most}"


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**63


def _damaged(where: str, found: str) -> LoadError:
    return LoadError(
        f"{KEY} in the model's metadata is not valid",
        where=where,
        found=found,
        expected='sizes by name of the dimension, such as {"seq": {"min": 2, "max": 512}}',
    )

"""What each target accepts and prefers, as data."""

from __future__ import annotations

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.targets.cpu import CPU
from sardonyx.compiler.targets.cuda import CUDA
from sardonyx.compiler.targets.portable import PORTABLE as PORTABLE
from sardonyx.compiler.targets.target import SessionSettings as SessionSettings
from sardonyx.compiler.targets.target import Target as Target

TARGETS = {target.name: target for target in (PORTABLE, CPU, CUDA)}
"""The targets by name."""


def find_target(name: str) -> Target:
    """Return the target of that name.

    Raises:
        UnsupportedError: There is none.
    """
    if name not in TARGETS:
        raise UnsupportedError(
            "There is no such target.", found=repr(name), expected=", ".join(TARGETS)
        )
    return TARGETS[name]

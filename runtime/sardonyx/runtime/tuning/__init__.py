"""Settings chosen by measurement on this machine, within a stated time."""

from .report import Tuning
from .tuner import Tuner, tune

__all__ = ["Tuner", "Tuning", "tune"]

"""Replaces operators by those that the target runs faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport, apply_stages
from sardonyx.compiler.rules.select import SELECTIONS


@dataclass(frozen=True)
class Select(Pass):
    """Apply what a target chose, one choice after the other.

    Attributes:
        selections: Names in `SELECTIONS`, in the order in which they are applied.
    """

    selections: tuple[str, ...] = ()
    name: ClassVar[str] = "select"

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere, choice by choice, until none matches."""
        return apply_stages([SELECTIONS[name] for name in self.selections], editor)

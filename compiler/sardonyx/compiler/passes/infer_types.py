"""Lets passes see the types that their changes made knowable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class InferTypes(Pass):
    """Infer dtypes and symbolic shapes anew where the model was changed; edits nothing."""

    name: ClassVar[str] = "infer_types"

    def run(self, editor: Editor) -> PassReport:
        """Infer; a folded constant may tell the shapes of all that depends on it."""
        editor.infer_types()
        return PassReport()

"""Writes operators in those of an older opset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport, apply_stages
from sardonyx.compiler.rules.lower import LOWERINGS


@dataclass(frozen=True)
class Lower(Pass):
    """Replace the operators that an opset lacks by ones that it has.

    What is left is lowered at export, by the function bodies that ONNX defines.

    Attributes:
        opset: The opset of the standard domain that the file will have.
    """

    opset: int = 18
    name: ClassVar[str] = "lower"

    def run(self, editor: Editor) -> PassReport:
        """Apply the rules everywhere until none matches."""
        needed = [rules for since, rules in LOWERINGS.items() if since > self.opset]
        return apply_stages([tuple(rule for rules in needed for rule in rules)], editor)

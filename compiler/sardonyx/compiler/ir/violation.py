"""What a well-formedness rule reports."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir.scope import Scope


@dataclass(frozen=True)
class Violation:
    """One place where a model breaks a rule.

    Attributes:
        what: One sentence that says what is wrong.
        scope: The graph it is in.
        node: The node it is about, or None.
        found: What was found there.
        expected: What would have been right.
    """

    what: str
    scope: Scope
    node: ir.Node | None = None
    found: str = ""
    expected: str = ""

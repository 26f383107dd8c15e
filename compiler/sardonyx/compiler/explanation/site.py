"""A place where a fusion can be expected, as the source model has it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir import provenance

CLASS = "sardonyx.class"


@dataclass(frozen=True)
class Found:
    """A site that was found in a source model.

    Attributes:
        kind: What it computes: `attention`, `layer_norm`, `gelu` ...
        anchors: The nodes that must end up in the fused operator, one for each part of the site.
        accepted: Operators, as `Name` or `domain::Name`, that a part has reached its goal in.
        shared_by: With how many other parts an operator must be shared to be the goal.
        said: What it looks like, in words.
    """

    kind: str
    anchors: tuple[ir.Node, ...]
    accepted: frozenset[str]
    shared_by: int = 0
    said: str = ""

    @property
    def place(self) -> str:
        """Where it is, in the user's terms: a module path, a source line, or a node's name."""
        known = provenance.sources(self.anchors[0])
        return known[0] if known else self.anchors[0].name or self.anchors[0].op_type

    @property
    def owner(self) -> str:
        """Class of the module it stems from, where that is known."""
        return str(self.anchors[0].metadata_props.get(CLASS, ""))


def spelled(node: ir.Node) -> str:
    """Return the operator of a node as `Name` or `domain::Name`."""
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def microsoft(*names: str) -> frozenset[str]:
    """Spell operators of ONNX Runtime's domain."""
    return frozenset(f"com.microsoft::{name}" for name in names)

"""Computes at compile time what depends on constants alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from sardonyx.compiler.analysis.evaluate import can_evaluate, evaluate
from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.passes.base import Pass, PassReport


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Replace nodes whose operands are constants by their result.

    Attributes:
        most_growth: Bytes by which a result may exceed the operands that it replaces, so that a
            small file does not become a large one.
    """

    most_growth: int = 1 << 20
    name: ClassVar[str] = "fold_constants"

    def run(self, editor: Editor) -> PassReport:
        """Fold in one sweep; operands come before their readers."""
        sites: list[str] = []
        for graph in (editor.model.graph, *editor.model.graph.subgraphs()):
            for node in list(graph):
                if node.graph is not None and self._fold(node, editor):
                    sites.append(node.op_type)
        return PassReport({self.name: sites} if sites else {})

    def _fold(self, node: ir.Node, editor: Editor) -> bool:
        if not can_evaluate(node) or not _has_constant_operands(node):
            return False
        read = _freed_bytes(node)
        known = _known_bytes(node)
        if known is not None and known > read + self.most_growth:
            return False
        results = evaluate(node, [constants.array(v) for v in node.inputs])
        if results is None or sum(r.nbytes for r in results) > read + self.most_growth:
            return False
        built = editor.builder()
        made = [built.constant(result) for result in results]
        editor.replace(node.outputs, made, built, self.name)
        return True


def _has_constant_operands(node: ir.Node) -> bool:
    operands = [v for v in node.inputs if v is not None]
    return bool(operands) and all(constants.is_constant(v) for v in operands)


def _freed_bytes(node: ir.Node) -> int:
    """Return the size of the constants that nobody reads once this node is folded."""
    freed = 0
    for value in {v for v in node.inputs if v is not None}:
        held = constants.tensor(value)
        if held is not None and all(user is node for user, _ in value.uses()):
            freed += held.nbytes
    return freed


def _known_bytes(node: ir.Node) -> float | None:
    """Return the size of the outputs if it is known before they are computed."""
    total = 0.0
    for value in node.outputs:
        if value.shape is None or value.dtype is None or not value.shape.is_static():
            return None
        total += math.prod(int(d) for d in value.shape.numpy()) * value.dtype.itemsize
    return total

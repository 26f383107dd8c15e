"""Computes at compile time what depends on constants alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from sardonyx.compiler.analysis.evaluate import can_evaluate, evaluate
from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.passes.base import Pass, PassReport

_GROWN = "fold_constants.grown"
"""Where a folded constant notes by how many bytes it exceeds what it replaced; never exported."""

_BY_CONTENT = frozenset({"Compress", "NonZero"})
"""Operators whose results have a size that depends on their operands' elements, but is bounded."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Replace nodes whose operands are constants by their result.

    A result may be larger than the constants that it makes superfluous, but only so much that a
    small file does not become a large one.

    Attributes:
        most_growth: Bytes by which one result may exceed the operands that it replaces.
        most_growth_in_all: Bytes by which all results together may.
    """

    most_growth: int = 1 << 20
    most_growth_in_all: int = 16 << 20
    name: ClassVar[str] = "fold_constants"

    def run(self, editor: Editor) -> PassReport:
        """Fold in one sweep; operands come before their readers."""
        sites: list[str] = []
        grown = sum(map(_grown, editor.model.graph.initializers.values()))
        for graph in graphs_in(editor.model.graph):
            for node in list(graph):
                if node.graph is None:
                    continue
                limit = min(self.most_growth, self.most_growth_in_all - grown)
                folded = _fold(node, limit, editor, self.name)
                if folded is not None:
                    grown += folded
                    sites.append(node.op_type)
        return PassReport({self.name: sites} if sites else {})


def _fold(node: ir.Node, limit: int, editor: Editor, rule: str) -> int | None:
    """Fold a node if its result exceeds what it frees by no more than `limit` bytes.

    Returns:
        By how much the model has grown, or None if the node stays.
    """
    if not can_evaluate(node) or not _has_constant_operands(node):
        return None
    freed = _freed_constants(node)
    read = sum(constants.bytes_of(held) for v in freed if (held := constants.tensor(v)) is not None)
    known = _known_bytes(node)
    if known is None or known > read + limit:
        return None
    opset = editor.model.opset_imports.get("", 1)
    results = evaluate(node, [constants.array(v) for v in node.inputs], opset)
    if results is None:
        return None
    written = sum(result.nbytes for result in results)
    if written > read + limit:
        return None
    before = sum(map(_grown, freed))
    built = editor.builder()
    made = [built.constant(result) for result in results]
    made[0].meta[_GROWN] = max(0, before + written - read)
    editor.replace(node.outputs, made, built, rule)
    return int(made[0].meta[_GROWN]) - before


def _grown(value: ir.Value) -> int:
    return int(value.meta.get(_GROWN, 0))


def _has_constant_operands(node: ir.Node) -> bool:
    operands = [v for v in node.inputs if v is not None]
    return bool(operands) and all(constants.is_constant(v) for v in operands)


def _freed_constants(node: ir.Node) -> list[ir.Value]:
    """Return the constants that nobody reads once this node is folded."""
    return [
        value
        for value in dict.fromkeys(v for v in node.inputs if v is not None)
        if not value.is_graph_output() and all(user is node for user, _ in value.uses())
    ]


def _known_bytes(node: ir.Node) -> float | None:
    """Return what the outputs take at most, or None if that is not known before they are had."""
    if node.op_type in _BY_CONTENT:
        held = constants.tensor(node.inputs[0])
        return None if held is None else 8.0 * held.size * max(1, len(held.shape))
    total = 0.0
    for value in node.outputs:
        if value.shape is None or value.dtype is None or not value.shape.is_static():
            return None
        is_text = value.dtype == ir.DataType.STRING
        each = _longest_text(node) if is_text else value.dtype.itemsize
        total += math.prod(int(d) for d in value.shape.numpy()) * each
    return total


def _longest_text(node: ir.Node) -> int:
    """Return what a string of a result takes at most: a small model may repeat a long one."""
    held = [constants.tensor(v) for v in node.inputs]
    texts = [text for t in held if isinstance(t, ir.StringTensor) for text in t.string_data()]
    return max([8, *map(len, texts)])

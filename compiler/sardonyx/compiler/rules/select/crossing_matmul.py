"""MatMul whose operands both broadcast, with one of them expanded first.

ONNX Runtime's CUDA kernel takes two operands for batches of one shape where they have equally many
matrices: [n, 1, a, b] times [1, m, b, c] is wrong there whenever n and m are equal (1.31.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rule

Dim = int | ir.SymbolicDim


def _expand(op: Builder, m: Match) -> ir.Value:
    """The left operand gets the batch dimensions of the product."""
    pairs = _batches(m)
    first = len(pairs) - (len(m.right.shape) - 2)
    shape: list[int | ir.Value] = []
    for place, (ours, theirs) in enumerate(pairs):
        if ours != 1:
            shape.append(1)
        elif isinstance(theirs, int):
            shape.append(theirs)
        else:
            shape.append(op.Shape(m.right, start=place - first, end=place - first + 1))
    made: ir.Value = op.MatMul(op.Expand(m.left, _vector(op, [*shape, 1, 1])), m.right)
    return made


def _vector(op: Builder, elements: Sequence[int | ir.Value]) -> ir.Value | np.ndarray:
    """A shape, of numbers and of vectors with one element."""
    if all(isinstance(each, int) for each in elements):
        return np.array(elements, dtype=np.int64)
    parts = (np.array([x], dtype=np.int64) if isinstance(x, int) else x for x in elements)
    made: ir.Value = op.Concat(*parts, axis=0)
    return made


def _batches(m: Match) -> list[tuple[Dim, Dim]]:
    """The batch dimensions of both operands, aligned at the last one."""
    left, right = list(m.left.shape)[:-2], list(m.right.shape)[:-2]
    rank = max(len(left), len(right))
    padded = [[1] * (rank - len(dims)) + dims for dims in (left, right)]
    return list(zip(*padded, strict=True))


def _crosses(m: Match) -> bool | No:
    for operand in (m.left, m.right):
        if operand.shape is None or len(operand.shape) < 3:
            return no("an operand is not known to have a batch", operand)
    pairs = _batches(m)
    if not (_broadcasts(pairs) and _broadcasts([(b, a) for a, b in pairs])):
        return no("at most one operand is broadcast", m.left)
    dims = [dim for pair in pairs for dim in pair]
    if all(isinstance(dim, int) for dim in dims):
        counts = [math.prod(side) for side in zip(*pairs, strict=True)]
        return counts[0] == counts[1] or no("they have different numbers of matrices", m.left)
    return True


def _broadcasts(pairs: Sequence[tuple[Dim, Dim]]) -> bool:
    """Say whether the first of the two operands is repeated along an axis."""
    return any(ours == 1 and theirs != 1 for ours, theirs in pairs)


CROSSING_MATMUL = rule("crossing_matmul", lambda op: op.MatMul("left", "right"), _expand, _crosses)

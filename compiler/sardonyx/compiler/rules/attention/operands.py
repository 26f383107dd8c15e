"""Reads query, key and value: scales, transposes and folded heads come off."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import No, no
from sardonyx.compiler.rules.attention.reading import Dims, is_same_dim, number
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import made_by


@dataclass(frozen=True)
class Operand:
    """A query, key or value.

    Attributes:
        value: The tensor in the graph.
        perm: The transpose that makes it [..., rows, size]; None for none.
        scale: What it is multiplied by.
        dims: Its dimensions after the transpose.
    """

    value: ir.Value
    perm: tuple[int, ...] | None
    scale: float
    dims: Dims

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.dims)

    def build(self, op: Builder) -> ir.Value:
        """Return the operand, not scaled, with its axes in order."""
        if self.perm is None:
            return self.value
        made: ir.Value = op.Transpose(self.value, perm=self.perm)
        return made


def read_operand(value: ir.Value, *, is_transposed: bool = False) -> Operand | No:
    """Read a value of [..., rows, size], or of [..., size, rows] if it is transposed."""
    if value.shape is None:
        return no("the shape of an operand is not known", value)
    rank = len(value.shape)
    perm = list(range(rank))
    if is_transposed:
        perm[-1], perm[-2] = perm[-2], perm[-1]
    found = Operand(value, tuple(perm), 1.0, tuple(value.shape[axis] for axis in perm))
    while (simpler := _peel(found)) is not None:
        found = simpler
    if found.perm == tuple(range(rank)):
        return Operand(found.value, None, found.scale, found.dims)
    return found


def _peel(operand: Operand) -> Operand | None:
    """Take one node off an operand, or return None."""
    node = made_by(operand.value, "Mul", "Div", "Transpose", "Reshape")
    if node is None:
        return None
    if node.op_type in {"Mul", "Div"}:
        return _peel_scale(operand, node)
    if node.op_type == "Transpose":
        return _peel_transpose(operand, node)
    return _peel_folded_transpose(operand, node)


def _peel_scale(operand: Operand, node: ir.Node) -> Operand | None:
    a, b = node.inputs
    if node.op_type == "Mul" and number(a) is not None:
        a, b = b, a
    factor = number(b)
    if a is None or a.shape is None or not factor or len(a.shape) != operand.rank:
        return None
    scale = operand.scale * (1 / factor if node.op_type == "Div" else factor)
    return Operand(a, operand.perm, scale, operand.dims)


def _peel_transpose(operand: Operand, node: ir.Node) -> Operand | None:
    """Take a Transpose off where the axes are out of order: two transposes are one or none."""
    inner, outer = Attributes(node).perm, operand.perm
    (value, *_) = node.inputs
    if value is None or inner is None or outer is None or outer == tuple(range(operand.rank)):
        return None
    return Operand(value, tuple(inner[axis] for axis in outer), operand.scale, operand.dims)


def _peel_folded_transpose(operand: Operand, node: ir.Node) -> Operand | None:
    """Reshape(Transpose(Reshape(x))) on the last two axes, with the outer axes folded, is one."""
    swap = made_by(node.inputs[0], "Transpose")
    fold = made_by(swap.inputs[0], "Reshape") if swap is not None else None
    value = fold.inputs[0] if fold is not None else None
    rank = operand.rank
    swapped = (*range(rank - 2), rank - 1, rank - 2)
    if swap is None or value is None or value.shape is None or operand.perm != swapped:
        return None
    perm = Attributes(swap).perm
    inner_rank = len(perm or ())
    if perm != (*range(inner_rank - 2), inner_rank - 1, inner_rank - 2):
        return None
    folded = fold.outputs[0].shape if fold is not None else None
    if folded is None or not has_same_dims(tuple(folded)[-2:], tuple(value.shape)[-2:]):
        return None
    if not has_same_dims(tuple(value.shape), operand.dims):
        return None
    return Operand(value, tuple(range(rank)), operand.scale, operand.dims)


def unfolded(operand: Operand) -> Operand | None:
    """Return what [B * H, rows, size] was reshaped from, [B, H, rows, size]; None if it was not."""
    node = made_by(operand.value, "Reshape")
    value = node.inputs[0] if node is not None else None
    if value is None or value.shape is None or len(value.shape) != 4 or operand.rank != 3:
        return None
    perm = operand.perm
    axes = (0, 1, 2) if perm is None else perm
    if axes[0] != 0:
        return None
    lifted = (0, 1, axes[1] + 1, axes[2] + 1)
    dims = tuple(value.shape[axis] for axis in lifted)
    if not has_same_dims(dims[2:], operand.dims[1:]):
        return None
    inner = read_operand(value) if lifted == (0, 1, 2, 3) else None
    if isinstance(inner, Operand):
        return Operand(inner.value, inner.perm, inner.scale * operand.scale, inner.dims)
    return Operand(value, None if lifted == (0, 1, 2, 3) else lifted, operand.scale, dims)


def fit_together(
    query: Operand, key: Operand, value: Operand, columns: int | ir.SymbolicDim
) -> bool | No:
    """Refuse operands of four axes that ONNX's Attention does not take together.

    Args:
        query: The query.
        key: The key.
        value: What the weights are multiplied by.
        columns: How many weights a query has.
    """
    batch, heads, _, size = query.dims
    for what, operand in (("key", key), ("value", value)):
        if not is_same_dim(operand.dims[0], batch):
            return no(f"the {what} is not known to have the batch of the query", operand.value)
    if not is_same_dim(key.dims[1], value.dims[1]):
        return no("key and value differ in their number of heads", value.value)
    shared = key.dims[1]
    if not is_same_dim(shared, heads) and shared != 1:
        return no("the heads of the key are not known to be those of the query", key.value)
    if not is_same_dim(size, key.dims[3]):
        return no("query and key differ in the size of their heads", key.value)
    # There is a weight for each value, or they could not be multiplied.
    is_same = is_same_dim(key.dims[2], value.dims[2]) or is_same_dim(key.dims[2], columns)
    return is_same or no("key and value differ in length", value.value)

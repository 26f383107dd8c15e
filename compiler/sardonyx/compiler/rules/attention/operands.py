"""Reads query, key and value: scales, transposes and folded heads come off."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rewrite import No, no
from sardonyx.compiler.rules.attention.reading import (
    Dims,
    dims_of,
    is_same_dim,
    number,
    swaps_rows,
)
from sardonyx.compiler.rules.canonical_identity import has_same_dims
from sardonyx.compiler.rules.producers import before, made_by


@dataclass(frozen=True)
class Operand:
    """A query, key or value.

    Attributes:
        value: The tensor in the graph.
        perm: The transpose that makes it [..., rows, size].
        scale: What it is multiplied by.
        dims: Its dimensions after the transpose.
    """

    value: ir.Value
    perm: tuple[int, ...]
    scale: float
    dims: Dims

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.dims)

    def build(self, op: Builder) -> ir.Value:
        """Return the operand, not scaled, with its axes in order."""
        if self.perm == tuple(range(self.rank)):
            return self.value
        made: ir.Value = op.Transpose(self.value, perm=self.perm)
        return made


def read_operand(value: ir.Value, *, is_transposed: bool = False) -> Operand | No:
    """Read a value of [..., rows, size], or of [..., size, rows] if it is transposed."""
    dims = dims_of(value)
    if len(dims) < 2:
        return no("an operand has not two axes or more, or the number is not known", value)
    perm = list(range(len(dims)))
    if is_transposed:
        perm[-1], perm[-2] = perm[-2], perm[-1]
    return _peeled(Operand(value, tuple(perm), 1.0, tuple(dims[axis] for axis in perm)))


def _peeled(operand: Operand) -> Operand:
    while (simpler := _peel(operand)) is not None:
        operand = simpler
    return operand


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
    assert a is not None  # An operand that neither operator lacks.
    if not factor or len(dims_of(a)) != operand.rank:
        return None
    scale = operand.scale * (1 / factor if node.op_type == "Div" else factor)
    return Operand(a, operand.perm, scale, operand.dims)


def _peel_transpose(operand: Operand, node: ir.Node) -> Operand | None:
    """Take a Transpose off where the axes are out of order: two transposes are one or none."""
    inner, outer, value = Attributes(node).perm, operand.perm, node.inputs[0]
    assert value is not None  # An operand that no Transpose lacks.
    if inner is None or outer == tuple(range(operand.rank)):
        return None
    return Operand(value, tuple(inner[axis] for axis in outer), operand.scale, operand.dims)


def _peel_folded_transpose(operand: Operand, node: ir.Node) -> Operand | None:
    """Reshape(Transpose(Reshape(x))) on the last two axes, with the outer axes folded, is one."""
    swap = made_by(node.inputs[0], "Transpose")
    fold = before(swap, "Reshape")
    if fold is None:
        return None
    assert swap is not None
    value = fold.inputs[0]
    assert value is not None
    if not swaps_rows(operand.perm) or not swaps_rows(Attributes(swap).perm):
        return None
    if not has_same_dims(dims_of(fold.outputs[0])[-2:], operand.dims[-2:]):
        return None
    if not has_same_dims(dims_of(value), operand.dims):
        return None
    return Operand(value, tuple(range(operand.rank)), operand.scale, operand.dims)


def unfolded(operand: Operand) -> Operand | None:
    """Return what [B * H, rows, size] was reshaped from, [B, H, rows, size]; None if it was not."""
    node = made_by(operand.value, "Reshape")
    if node is None or len(dims_of(node.inputs[0])) != 4:
        return None
    value = node.inputs[0]
    assert value is not None
    lifted = (0, *(axis + 1 for axis in operand.perm))
    dims = tuple(dims_of(value)[axis] for axis in lifted)
    is_same = has_same_dims(dims[2:], operand.dims[1:])
    return _peeled(Operand(value, lifted, operand.scale, dims)) if is_same else None


def fit_together(
    query: Operand, key: Operand, value: Operand, columns: int | ir.SymbolicDim
) -> bool | No:
    """Refuse operands of equally many axes that ONNX's Attention does not take together.

    Args:
        query: The query.
        key: The key.
        value: What the weights are multiplied by.
        columns: How many weights a query has.
    """
    *outer, _, size = query.dims
    for what, operand in (("key", key), ("value", value)):
        if outer and not is_same_dim(operand.dims[0], outer[0]):
            return no(f"the {what} is not known to have the batch of the query", operand.value)
    shared = key.dims[1:-2]
    if not has_same_dims(shared, value.dims[1:-2]):
        return no("key and value differ in their number of heads", value.value)
    if not has_same_dims(shared, outer[1:]) and shared != (1,):
        return no("the heads of the key are not known to be those of the query", key.value)
    if not is_same_dim(size, key.dims[-1]):
        return no("query and key differ in the size of their heads", key.value)
    # There is a weight for each value, or they could not be multiplied.
    is_same = is_same_dim(key.dims[-2], value.dims[-2]) or is_same_dim(key.dims[-2], columns)
    return is_same or no("key and value differ in length", value.value)

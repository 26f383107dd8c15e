"""Storing a node's tensors in another order of axes: what becomes of the node.

A permutation says where the new axes come from: new axis `k` is old axis `perm[k]`, as in ONNX's
Transpose and numpy's. The labels of `axes.AxisMap` turn the permutation of one tensor of a node
into those of all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder, Operand
from sardonyx.compiler.ir.constants import array
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.ops.axes import (
    AxesAttribute,
    AxesOperand,
    AxisAttribute,
    AxisMap,
    ElementPerAxis,
    Fixed,
    Labels,
    LengthOfAxes,
    Permutation,
    constant_axes,
    has_operand,
    normalized,
)

Perm = tuple[int, ...]


def identity(rank: int) -> Perm:
    """Return the permutation that changes nothing."""
    return tuple(range(rank))


def inverse(perm: Perm) -> Perm:
    """Return the permutation that undoes `perm`."""
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def then(first: Perm, second: Perm) -> Perm:
    """Return the one permutation that does what transposing by `first`, then `second` does."""
    return tuple(first[axis] for axis in second)


@dataclass(frozen=True)
class Carried:
    """How a node looks when its tensors are stored in another order of axes.

    Attributes:
        node: The node as it is.
        axes: Its axes.
        perms: For each tensor with axes, how its new order comes from the old one.
        spread: For each operand of a broadcast that then needs new axes of length 1 inside, where
            they go.
    """

    node: ir.Node
    axes: AxisMap
    perms: Mapping[int, Perm]
    spread: Mapping[int, tuple[int, ...]]

    def new_axis(self, tensor: int, axis: int) -> int:
        """Return the new number of an axis of a tensor."""
        perm = self.perms[tensor]
        return perm.index(normalized(axis, len(perm)))

    def kernel_transposes(self) -> tuple[bool, bool]:
        """Say whether kernels transpose inside: as the node is, and as it is carried."""
        label = self.axes.kernel_axis
        if label is None:
            return False, False
        last = len(self.perms[0]) - 1
        return label != last, self.new_axis(0, label) != last


def carry(node: ir.Node, axes: AxisMap, tensor: int, perm: Perm) -> Carried | Fixed:
    """Return how a node looks when one of its tensors is stored permuted.

    Args:
        node: The node.
        axes: Its axes.
        tensor: Number of a tensor that has axes: an operand, or `~j` for output `j`.
        perm: How the new order of that tensor's axes comes from the old one.
    """
    given = tuple(axes.labels[tensor][axis] for axis in perm)
    lead = _reorder(axes.labels[axes.lead], given)
    orders = {number: _reorder(labels, lead) for number, labels in axes.labels.items()}
    if orders[tensor] != given:
        return Fixed("its tensors do not have enough axes in common")
    for number, labels in axes.labels.items():
        if any(a != b and {a, b} & axes.fixed for a, b in zip(labels, orders[number], strict=True)):
            return Fixed("it needs some axes where they are")
    perms = {
        number: tuple(labels.index(label) for label in orders[number])
        for number, labels in axes.labels.items()
    }
    spread = _spread(orders, lead) if axes.is_broadcast else {}
    return Carried(node, axes, perms, spread)


def rebuild(op: Builder, carried: Carried, operands: Sequence[ir.Value | None]) -> list[ir.Value]:
    """Make the node that works on operands stored in the new order, and return its outputs.

    Outputs without axes are those of the old node; the others are stored in the new order.

    Args:
        op: Builder of the new nodes.
        carried: How the node is to look.
        operands: The operands, those with axes already in the new order.
    """
    node = carried.node
    values: list[Operand] = list(operands)
    for index, axes in carried.spread.items():
        values[index] = _spread_out(op, operands[index], axes)
    attributes: dict[str, Any] = {}
    lengths: LengthOfAxes | None = None
    for parameter in carried.axes.parameters:
        if isinstance(parameter, LengthOfAxes):
            lengths = parameter
        elif isinstance(parameter, (AxesOperand, ElementPerAxis)):
            _renumber_operand(op, carried, parameter, values)
        else:
            attributes |= _renumber_attribute(carried, parameter)
    if lengths is not None:
        shape = op.Shape(values[0])
        wanted = [carried.new_axis(0, axis) for axis in range(lengths.start, lengths.end)]
        return [op.Gather(shape, np.array(wanted, np.int64), axis=0)]
    made = op.call(
        node.op_type,
        *values,
        domain=node.domain,
        outputs=len(node.outputs),
        attributes=Attributes(node),
        **attributes,
    )
    outputs = list(made) if isinstance(made, tuple) else [made]
    for new, old in zip(outputs, node.outputs, strict=True):
        if old.name == "":
            new.name = ""
    return outputs


def permuted(op: Builder, value: ir.Value, perm: Perm) -> ir.Value:
    """Return a value in another order of axes; of a constant, a new constant."""
    if perm == identity(len(perm)):
        return value
    known = array(value)
    if known is not None:
        return op.constant(np.ascontiguousarray(known.transpose(perm)))
    made: ir.Value = op.Transpose(value, perm=perm)
    return made


def _spread_out(op: Builder, value: ir.Value | None, axes: Sequence[int]) -> ir.Value:
    """Return a value with new axes of length 1; of a constant, a new constant."""
    known = array(value)
    if known is not None:
        return op.constant(np.expand_dims(known, tuple(axes)))
    made: ir.Value = op.Unsqueeze(value, list(axes))
    return made


def _reorder(labels: Labels, order: Labels) -> Labels:
    """Put the labels that `order` has into its order; the others keep their place."""
    shared = iter([label for label in order if label in labels])
    known = set(order)
    return tuple(next(shared) if label in known else label for label in labels)


def _spread(orders: Mapping[int, Labels], lead: Labels) -> dict[int, tuple[int, ...]]:
    """Find the axes of length 1 that operands with fewer axes need after their first one."""
    found: dict[int, tuple[int, ...]] = {}
    for number, labels in orders.items():
        if number < 0 or not labels:
            continue
        start = lead.index(labels[0])
        missing = [k for k, label in enumerate(lead[start:]) if label not in labels]
        if missing:
            found[number] = tuple(missing)
    return found


def _renumber_attribute(
    carried: Carried, parameter: AxisAttribute | AxesAttribute | Permutation
) -> dict[str, Any]:
    value = getattr(Attributes(carried.node), parameter.name)
    if isinstance(parameter, AxisAttribute):
        return {parameter.name: carried.new_axis(parameter.tensor, value)}
    if isinstance(parameter, AxesAttribute):
        axes = parameter.absent if value is None else value
        if axes is None:
            return {}
        return {parameter.name: [carried.new_axis(parameter.tensor, axis) for axis in axes]}
    old = value if value is not None else tuple(reversed(range(len(carried.perms[0]))))
    return {parameter.name: then(then(inverse(carried.perms[0]), old), carried.perms[~0])}


def _renumber_operand(
    op: Builder, carried: Carried, parameter: AxesOperand | ElementPerAxis, values: list[Operand]
) -> None:
    node, index = carried.node, parameter.operand
    if isinstance(parameter, ElementPerAxis):
        perm = list(carried.perms[parameter.tensor])
        known = array(node.inputs[index])
        values[index] = known[perm] if known is not None else op.Gather(values[index], perm, axis=0)
        return
    axes = constant_axes(node, index) if has_operand(node, index) else parameter.absent
    if axes is None:
        return
    wanted = np.array([carried.new_axis(parameter.tensor, axis) for axis in axes], np.int64)
    given = node.inputs[index] if has_operand(node, index) else None
    if parameter.is_scalar:
        wanted = wanted.reshape(())
    if given is not None and given.dtype is not None:
        wanted = wanted.astype(given.dtype.numpy())
    values.extend([None] * (index + 1 - len(values)))
    values[index] = wanted

"""What happens to each axis: which axes of a node's tensors are one and the same.

Every axis of every tensor of a node gets a label, and axes with the same label are the same axis:
those of `Concat` all correspond, `ReduceSum` drops some, `Unsqueeze` makes new ones. With the
list of parameters that number axes this is all that is needed to store a tensor in another order
of axes and to adjust the node (`carry.py`), for any operator.

A tensor of a node is named by a number: `i` is operand `i`, `~j` is output `j`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir.constants import array
from sardonyx.compiler.ir.signature import Attributes

Labels = tuple[int, ...]


@dataclass(frozen=True)
class Fixed:
    """The order of axes of the operands and outputs cannot change.

    Attributes:
        because: Why not.
    """

    because: str


@dataclass(frozen=True)
class AxisAttribute:
    """An attribute that is the number of an axis of `tensor`."""

    name: str
    tensor: int = 0


@dataclass(frozen=True)
class AxesAttribute:
    """An attribute that lists axes of `tensor`; absent, it lists `absent`."""

    name: str
    tensor: int = 0
    absent: Labels | None = None


@dataclass(frozen=True)
class AxesOperand:
    """A constant operand that lists axes of `tensor`; absent, it lists `absent`.

    A scalar one is the number of one axis.
    """

    operand: int
    tensor: int = 0
    absent: Labels | None = None
    is_scalar: bool = False


@dataclass(frozen=True)
class ElementPerAxis:
    """An operand with one element for each axis of `tensor`, in their order."""

    operand: int
    tensor: int = 0


@dataclass(frozen=True)
class Permutation:
    """Transpose's attribute: from the axes of operand 0 to those of output 0."""

    name: str


@dataclass(frozen=True)
class LengthOfAxes:
    """Shape: output 0 lists the lengths of axes `start` to `end` of operand 0."""

    start: int
    end: int


Parameter = (
    AxisAttribute | AxesAttribute | AxesOperand | ElementPerAxis | Permutation | LengthOfAxes
)


@dataclass(frozen=True)
class AxisMap:
    """The axes of one node.

    Attributes:
        labels: For each tensor that may be stored in another order, the label of each axis.
            Tensors that are not named hold no axes of the data and stay as they are.
        lead: The tensor with the most axes; the others follow it.
        fixed: Labels of axes that must keep their place in every tensor that has them.
        parameters: The attributes and operands that number axes.
        is_broadcast: Whether operands of fewer axes than the lead are aligned at the last axis.
        kernel_axis: Label of the axis that kernels want last, or None; where it is not, they
            transpose their operand and their output themselves.
    """

    labels: Mapping[int, Labels]
    lead: int = 0
    fixed: frozenset[int] = frozenset()
    parameters: tuple[Parameter, ...] = ()
    is_broadcast: bool = False
    kernel_axis: int | None = None


Axes = Callable[[ir.Node], "AxisMap | Fixed"]


def tensor(node: ir.Node, number: int) -> ir.Value | None:
    """Return the operand or output that a number names."""
    if number < 0:
        return node.outputs[~number]
    return node.inputs[number] if number < len(node.inputs) else None


def rank(value: ir.Value | None) -> int:
    """Return how many axes a value has; `axis_map` makes sure that it is known."""
    if value is None or value.shape is None:
        raise ValueError("the rank of the value is not known")
    return len(value.shape)


def axis_map(axes: Axes | Fixed, node: ir.Node) -> AxisMap | Fixed:
    """Return the axes of a node from its row's `axes` fact."""
    if isinstance(axes, Fixed):
        return axes
    values = [v for v in (*node.inputs, *node.outputs) if v is not None and v.name != ""]
    if any(v.shape is None for v in values):
        return Fixed("the rank of a tensor is not known")
    return axes(node)


def normalized(axis: int, rank: int) -> int:
    """Return an axis as a number from 0."""
    return axis + rank if axis < 0 else axis


def constant_axes(node: ir.Node, operand: int) -> list[int] | None:
    """Return the numbers in a constant operand, or None where it is computed."""
    known = array(node.inputs[operand])
    return None if known is None else [int(x) for x in known.reshape(-1)]


def has_operand(node: ir.Node, operand: int) -> bool:
    """Say whether an optional operand is present."""
    return operand < len(node.inputs) and node.inputs[operand] is not None


def present_outputs(node: ir.Node) -> list[int]:
    """Return the numbers of the outputs that are not left out."""
    return [j for j, value in enumerate(node.outputs) if value.name != ""]


def is_computed(node: ir.Node, operand: int) -> bool:
    """Say whether an operand is present but not known at compile time."""
    return has_operand(node, operand) and constant_axes(node, operand) is None


def elementwise(*, unlabelled: tuple[int, ...] = ()) -> Axes:
    """All operands broadcast to the shape of the outputs, but those `unlabelled`."""

    def axes(node: ir.Node) -> AxisMap | Fixed:
        most = rank(node.outputs[0])
        labels = {~j: tuple(range(most)) for j in present_outputs(node)}
        for i, value in enumerate(node.inputs):
            if value is not None and i not in unlabelled:
                labels[i] = tuple(range(most - rank(value), most))
        return AxisMap(labels, lead=~0, is_broadcast=True)

    return axes


def along(
    *parameters: Parameter,
    tied: int = 1,
    first_fixed: int = 0,
    last_fixed: int = 0,
    kernel_axis: str | None = None,
) -> Axes:
    """The outputs have the axes of the first operand, in the same order.

    Args:
        parameters: The attributes and operands that number axes.
        tied: How many of the first operands have these axes; -1 is all.
        first_fixed: How many leading axes keep their place.
        last_fixed: How many trailing axes keep their place.
        kernel_axis: Name of the attribute whose axis kernels want last.
    """

    def axes(node: ir.Node) -> AxisMap | Fixed:
        if any(is_computed(node, p.operand) for p in parameters if isinstance(p, AxesOperand)):
            return Fixed("its axes are computed")
        every = tuple(range(rank(node.inputs[0])))
        operands = range(len(node.inputs) if tied == -1 else min(tied, len(node.inputs)))
        numbers = [i for i in operands if node.inputs[i] is not None]
        numbers += [~j for j in present_outputs(node)]
        wanted = None
        if kernel_axis is not None:
            wanted = normalized(getattr(Attributes(node), kernel_axis), len(every))
        return AxisMap(
            dict.fromkeys(numbers, every),
            fixed=frozenset((*every[:first_fixed], *every[max(0, len(every) - last_fixed) :])),
            parameters=parameters,
            kernel_axis=wanted,
        )

    return axes


def without(node: ir.Node, dropped: Sequence[int], parameters: tuple[Parameter, ...]) -> AxisMap:
    """Return the axes of a node whose outputs lack some axes of operand 0."""
    every = tuple(range(rank(node.inputs[0])))
    rest = tuple(label for label in every if label not in dropped)
    outputs = {~j: rest for j in present_outputs(node)}
    return AxisMap({0: every, **outputs}, parameters=parameters)

"""What a node costs: arithmetic and memory traffic, from the sizes of its operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir.signature import Attributes


@dataclass(frozen=True)
class Cost:
    """What one execution of a node takes.

    Attributes:
        flops: Arithmetic operations; a multiply and an add are two.
        bytes: Bytes read plus bytes written, each tensor counted once.
    """

    flops: int
    bytes: int


def length(dim: int | ir.SymbolicDim, symbol: int) -> int:
    """Return the length of an axis; each symbol in it stands for `symbol`."""
    if isinstance(dim, int):
        return dim
    if dim.value is None:
        return symbol
    known = dim.evaluate(dict.fromkeys(dim.free_symbols(), symbol))
    return known if isinstance(known, int) and known > 0 else symbol


class UnknownSizeError(Exception):
    """A shape or dtype that a cost depends on is not known. Does not leave this package."""


@dataclass(frozen=True)
class Sizes:
    """Reads the sizes of values.

    Attributes:
        symbol: Length that each symbol in a dimension stands for.
    """

    symbol: int

    def dims(self, value: ir.Value | None) -> tuple[int, ...]:
        """Return the lengths of a value's axes."""
        if value is None or value.shape is None:
            raise UnknownSizeError
        return tuple(length(dim, self.symbol) for dim in value.shape)

    def elements(self, value: ir.Value | None) -> int:
        """Return how many elements a value has."""
        return math.prod(self.dims(value))

    def nbytes(self, value: ir.Value | None) -> int:
        """Return how many bytes a value takes; strings count as a pointer each."""
        if value is None or value.dtype is None:
            raise UnknownSizeError
        bits = 64 if value.dtype == ir.DataType.STRING else value.dtype.bitwidth
        return -(-self.elements(value) * bits // 8)

    def traffic(self, node: ir.Node) -> int:
        """Return the bytes of all operands and outputs of a node."""
        values = [v for v in (*node.inputs, *node.outputs) if v is not None and v.name != ""]
        return sum(self.nbytes(v) for v in values)


CostModel = Callable[[ir.Node, Sizes], Cost]


def per_element(flops: int) -> CostModel:
    """Cost of `flops` operations for each element of the first output."""

    def cost(node: ir.Node, sizes: Sizes) -> Cost:
        return Cost(flops * sizes.elements(node.outputs[0]), sizes.traffic(node))

    return cost


def per_operand_element(flops: int) -> CostModel:
    """Cost of `flops` operations for each element of the first operand."""

    def cost(node: ir.Node, sizes: Sizes) -> Cost:
        return Cost(flops * sizes.elements(node.inputs[0]), sizes.traffic(node))

    return cost


def variadic(node: ir.Node, sizes: Sizes) -> Cost:
    """Cost of one operation for each output element and operand after the first."""
    per = max(0, len(node.inputs) - 1)
    return Cost(per * sizes.elements(node.outputs[0]), sizes.traffic(node))


def moved(node: ir.Node, sizes: Sizes) -> Cost:
    """Cost of writing the outputs and reading as much: data movement."""
    return Cost(0, 2 * sum(sizes.nbytes(v) for v in node.outputs if v.name != ""))


def free(node: ir.Node, sizes: Sizes) -> Cost:
    """Cost of nothing: a view, a constant or a fact of a shape."""
    return Cost(0, 0)


def contraction(weight: int = 1) -> CostModel:
    """Cost of a convolution-like operator: each output element is a dot product.

    The dot product is as long as a slice of operand `weight` along its first axis.
    """

    def cost(node: ir.Node, sizes: Sizes) -> Cost:
        length = math.prod(sizes.dims(node.inputs[weight])[1:])
        return Cost(2 * length * sizes.elements(node.outputs[0]), sizes.traffic(node))

    return cost


def scattered_contraction(node: ir.Node, sizes: Sizes) -> Cost:
    """Cost of ConvTranspose: each element of operand 0 meets one slice of the weight."""
    length = math.prod(sizes.dims(node.inputs[1])[1:])
    return Cost(2 * length * sizes.elements(node.inputs[0]), sizes.traffic(node))


def matrix_product(left: int = 0, transposed: str | None = None) -> CostModel:
    """Cost of a matrix product whose inner dimension is read from operand `left`.

    Args:
        left: Number of the left operand.
        transposed: Name of the attribute that says that the operand is stored transposed.
    """

    def cost(node: ir.Node, sizes: Sizes) -> Cost:
        is_transposed = transposed is not None and getattr(Attributes(node), transposed)
        dims = sizes.dims(node.inputs[left]) or (1,)
        inner = dims[-2] if is_transposed and len(dims) > 1 else dims[-1]
        return Cost(2 * inner * sizes.elements(node.outputs[0]), sizes.traffic(node))

    return cost


def window(node: ir.Node, sizes: Sizes) -> Cost:
    """Cost of a pooling operator: each output element reads one window."""
    length = math.prod(Attributes(node).kernel_shape or ())
    return Cost(length * sizes.elements(node.outputs[0]), sizes.traffic(node))


def recurrent(gates: int) -> CostModel:
    """Cost of a recurrent layer: both matrix products of each gate at each step."""

    def cost(node: ir.Node, sizes: Sizes) -> Cost:
        steps, batch = sizes.dims(node.inputs[0])[:2]
        directions, rows, inputs = sizes.dims(node.inputs[1])
        products = 2 * rows * (inputs + rows // gates)
        return Cost(steps * batch * directions * products, sizes.traffic(node))

    return cost


def attention(node: ir.Node, sizes: Sizes) -> Cost:
    """Cost of both products of scaled dot product attention over the keys that are given.

    Query and key are [batch, heads, length, size] or [batch, length, heads * size].
    """
    query, key = sizes.dims(node.inputs[0]), sizes.dims(node.inputs[1])
    products = 4 * math.prod(query) * key[-2]
    return Cost(products, sizes.traffic(node))


def cost_of(model: CostModel, node: ir.Node, symbol: int) -> Cost | None:
    """Return what a node costs, or None where a size that it depends on is not known.

    Args:
        model: The cost model of the node's operator.
        node: The typed node.
        symbol: Length that stands in for each symbolic dimension.
    """
    try:
        return model(node, Sizes(symbol))
    except UnknownSizeError:
        return None

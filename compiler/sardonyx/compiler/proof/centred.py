"""The large product in the kernels of norms that subtract a mean.

(x - mean) * s + bias is computed as x * s + (bias - mean * s), where s is the scale over the
deviation. The rounding of the two products stays when they cancel, also where x was exact: an
instance norm of equal numbers gives not quite its bias.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir


def scaled_input(node: ir.Node) -> list[ir.Node] | None:
    """Return nodes whose last gives x * s of a norm, in single or double precision.

    They are of every opset from 13 on, for models are also compared as they are.

    Args:
        node: A node; None is returned where it is no such norm, or its rank is not known.
    """
    if node.domain or not node.inputs:
        return None
    x = node.inputs[0]
    if x is None or x.dtype not in _WIDE:
        return None
    nodes = _Nodes(f"{node.outputs[0].name}.scaled", _WIDE[x.dtype])
    if node.op_type == "BatchNormalization" and not node.attributes.get_int("training_mode", 0):
        _batch(nodes, node)
    elif node.op_type == "InstanceNormalization" and x.shape is not None:
        _instance(nodes, node, len(x.shape))
    else:
        return None
    nodes.made[-1].outputs[0].dtype = _WIDE[x.dtype]
    return nodes.made


_WIDE = {
    ir.DataType.FLOAT: ir.DataType.FLOAT,
    ir.DataType.DOUBLE: ir.DataType.DOUBLE,
    ir.DataType.FLOAT16: ir.DataType.FLOAT,
    ir.DataType.BFLOAT16: ir.DataType.FLOAT,
}


class _Nodes:
    """Nodes in order, with names of their own."""

    def __init__(self, name: str, dtype: ir.DataType) -> None:
        self.made: list[ir.Node] = []
        self._name = name
        self._dtype = dtype

    def apply(self, op_type: str, *operands: ir.Value | None, **attributes: int) -> ir.Value:
        return self._add(ir.node(op_type, operands, attributes))

    def number(self, number: float) -> ir.Value:
        return self._constant(np.array(number, self._dtype.numpy()))

    def axes(self, axes: range) -> ir.Value:
        return self._constant(np.array(axes, np.int64))

    def wide(self, value: ir.Value | None) -> ir.Value:
        return self.apply("Cast", value, to=int(self._dtype))

    def _constant(self, array: np.ndarray) -> ir.Value:
        return self._add(ir.node("Constant", [], {"value": ir.tensor(array)}))

    def _add(self, node: ir.Node) -> ir.Value:
        made = node.outputs[0]
        made.name = f"{self._name}{len(self.made)}"
        self.made.append(node)
        return made


def _batch(nodes: _Nodes, node: ir.Node) -> None:
    x, scale, _, _, variance = map(nodes.wide, node.inputs[:5])
    zero = nodes.apply("Mul", scale, nodes.number(0))
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    nodes.apply("BatchNormalization", x, scale, zero, zero, variance)
    nodes.made[-1].attributes["epsilon"] = ir.AttrFloat32("epsilon", epsilon)


def _instance(nodes: _Nodes, node: ir.Node, rank: int) -> None:
    x, scale = map(nodes.wide, node.inputs[:2])
    spatial = nodes.axes(range(2, rank))
    ones = nodes.apply("Expand", nodes.number(1), nodes.apply("Shape", x))
    count = nodes.apply("ReduceSum", ones, spatial)

    def mean(value: ir.Value) -> ir.Value:
        return nodes.apply("Div", nodes.apply("ReduceSum", value, spatial), count)

    centred = nodes.apply("Sub", x, mean(x))
    variance = mean(nodes.apply("Mul", centred, centred))
    epsilon = nodes.number(node.attributes.get_float("epsilon", 1e-5))
    deviation = nodes.apply("Sqrt", nodes.apply("Add", variance, epsilon))
    scale = nodes.apply("Unsqueeze", scale, nodes.axes(range(1, rank - 1)))
    nodes.apply("Mul", x, nodes.apply("Div", scale, deviation))

"""How much a model's outputs move when its arithmetic is rounded otherwise.

Every floating-point value that the model computes is multiplied by random numbers that differ from
one by at most two units in the last place, and the model is run again: its outputs move as far as
another order of the same arithmetic can move them. This is stochastic arithmetic in the sense of
CESTAC (J. Vignes, "A stochastic arithmetic for reliable scientific computation", Mathematics and
Computers in Simulation 35, 1993), with ONNX Runtime as the arithmetic.
"""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.proof.centred import scaled_input

EPSILON = {
    ir.DataType.FLOAT: 2.0**-23,
    ir.DataType.DOUBLE: 2.0**-52,
    ir.DataType.FLOAT16: 2.0**-10,
    ir.DataType.BFLOAT16: 2.0**-7,
}
"""The distance from one to the next number of a dtype."""

_LARGE = 1e30
_GOLDEN = 0.6180339887498949

_EXACT = frozenset(
    {
        *("Cast", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
        *("Identity", "Max", "Min", "Neg", "Pad", "Relu", "Reshape", "Slice", "Split"),
        *("Squeeze", "Tile", "Transpose", "Unsqueeze", "Where", "MaxPool", "Constant"),
        *("ConstantOfShape", "Abs", "Sign", "Floor", "Ceil", "Round", "Clip", "Range"),
    }
)
"""Operators that do not round."""

_SUMS = frozenset(
    {
        *("Add", "Sub", "Sum", "MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum"),
        *("ReduceSum", "ReduceMean", "Mean"),
    }
)
"""Operators whose operands may cancel, so that more than the last digits of the result is lost."""


def add_noise(model: ir.Model, seed: int, rounding: ir.DataType | None = None) -> int:
    """Disturb each value that a model rounds; it is changed. Returns how many there were.

    The factors are at most one, so that no number becomes infinite by them. Constants stay, but for
    those that are summed with nothing else, so that nothing disturbed cancels there; of these whole
    numbers stay, for masks are made of them.

    Args:
        model: The model, its types inferred.
        seed: Of the random numbers.
        rounding: Round as much as this dtype does, where it is coarser than the value's own.
    """
    inputs = [v for v in model.graph.inputs if not v.is_initializer()]
    nodes = [node for graph in graphs_in(model.graph) for node in graph]
    # An output without a name is left out.
    made = [v for node in nodes if not is_exact(node) for v in node.outputs if v.name != ""]
    constants = _only_constants(model, nodes)
    places = [*filter(_is_rounded, (*inputs, *made)), *constants]
    seeds = itertools.count(seed * (len(places) + len(nodes)))
    numbers = _Numbers()
    first = next(iter(model.graph), None)
    for value in places:
        disturbed = _disturbed(value, next(seeds), rounding, numbers, value in constants)
        after = value.producer()
        graph = after.graph if after is not None else model.graph
        assert graph is not None
        if after is not None:
            graph.insert_after(after, disturbed)
        elif first is not None:
            graph.insert_before(first, disturbed)
        else:
            graph.extend(disturbed)
        _read_instead(graph, value, disturbed)
    for node in nodes:
        _disturb_centred(node, next(seeds), rounding, numbers)
    start = next(iter(model.graph), None)
    if start is not None:
        model.graph.insert_before(start, numbers.nodes)
    return len(places)


def _is_rounded(value: ir.Value) -> bool:
    return isinstance(value.type, ir.TensorType) and value.dtype in EPSILON


def _only_constants(model: ir.Model, nodes: list[ir.Node]) -> dict[ir.Value, None]:
    """Return what is summed by nodes that read constants and nothing else."""
    moved = {v for graph in graphs_in(model.graph) for v in graph.inputs if not v.is_initializer()}
    found: dict[ir.Value, None] = {}
    for node in nodes:
        read = [v for v in node.inputs if v is not None and _is_rounded(v)]
        if not moved.isdisjoint(read):
            moved.update(node.outputs)
        elif not is_exact(node):
            moved.update(node.outputs)
            if node.op_type in _SUMS and not node.domain:
                found.update(dict.fromkeys(read))
    return {v: None for v in found if v.producer() is not None or v.graph is model.graph}


def is_exact(node: ir.Node) -> bool:
    """Say whether an operator gives the very numbers that it is given."""
    return not node.domain and node.op_type in _EXACT


class _Numbers:
    """Constants that all places share."""

    def __init__(self) -> None:
        self._made: dict[tuple[ir.DataType, float], ir.Node] = {}

    @property
    def nodes(self) -> list[ir.Node]:
        """The nodes that give them."""
        return list(self._made.values())

    def of(self, dtype: ir.DataType, number: float) -> ir.Value:
        """A scalar."""
        key = (dtype, number)
        if key not in self._made:
            self._made[key] = _constant(dtype, number, f"noise.{dtype.name}.{number!r}")
        return self._made[key].outputs[0]


def _constant(dtype: ir.DataType, number: float, name: str) -> ir.Node:
    node = ir.node("Constant", [], {"value": ir.tensor(np.array(number, dtype.numpy()))})
    node.outputs[0].name = name
    return node


def _disturbed(
    value: ir.Value,
    seed: int,
    rounding: ir.DataType | None,
    numbers: _Numbers,
    keeps_whole: bool = False,
) -> list[ir.Node]:
    """Return the nodes that multiply a value by one minus a little; the last one gives it."""
    dtype = value.dtype
    assert dtype is not None
    epsilon = 2 * max(EPSILON[dtype], EPSILON[rounding] if rounding is not None else 0.0)
    computed = dtype if dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT
    nodes: list[ir.Node] = []

    def apply(op_type: str, *operands: ir.Value, **attributes: int | float) -> ir.Value:
        node = ir.node(op_type, operands, attributes)
        node.outputs[0].name = f"{value.name}.noise{len(nodes)}"
        nodes.append(node)
        return node.outputs[0]

    wide = value if dtype == computed else apply("Cast", value, to=int(computed))
    # The last digits of a number are as good as random, and no operator for random numbers has a
    # kernel at every opset.
    low, high, one = (numbers.of(computed, number) for number in (-_LARGE, _LARGE, 1.0))
    nodes.append(_constant(computed, _factor(seed), f"{value.name}.factor"))
    factor = nodes[-1].outputs[0]
    spread = apply("Mul", apply("Clip", wide, low, high), factor)
    drawn = apply("Mod", apply("Abs", spread), one, fmod=1)
    if keeps_whole:
        fraction = apply("Mod", apply("Abs", wide), one, fmod=1)
        drawn = apply("Mul", drawn, apply("Sign", fraction))
    little = apply("Mul", drawn, numbers.of(computed, epsilon))
    product = apply("Mul", wide, apply("Sub", one, little))
    if dtype != computed:
        apply("Cast", product, to=int(dtype))
    return nodes


def _disturb_centred(
    node: ir.Node, seed: int, rounding: ir.DataType | None, numbers: _Numbers
) -> None:
    """Add to a norm's output what its kernel loses where the mean cancels most of the input."""
    scaled = scaled_input(node)
    output, graph = node.outputs[0], node.graph
    if scaled is None or output.dtype is None:
        return
    assert graph is not None
    product = scaled[-1].outputs[0]
    disturbed = _disturbed(product, seed, rounding, numbers)
    lost = ir.node("Sub", [disturbed[-1].outputs[0], product])
    narrow = ir.node("Cast", [lost.outputs[0]], {"to": int(output.dtype)})
    moved = ir.node("Add", [output, narrow.outputs[0]])
    new = [*scaled, *disturbed, lost, narrow, moved]
    for index, made in enumerate((lost, narrow, moved)):
        made.outputs[0].name = f"{output.name}.lost{index}"
    graph.insert_after(node, new)
    _read_instead(graph, output, new)


def _factor(seed: int) -> float:
    """Another number of about a thousand for each seed; the fractions are spread evenly."""
    return 1000.0 * (1.0 + seed * _GOLDEN % 1.0)


def _read_instead(graph: ir.Graph | ir.Function, value: ir.Value, nodes: list[ir.Node]) -> None:
    """Let all readers of a value but these nodes read what the last of them gives."""
    given = nodes[-1].outputs[0]
    given.type, given.shape = value.type, value.shape
    own = set(nodes)
    for reader, index in list(value.uses()):
        if reader not in own:
            reader.replace_input_with(index, given)
    for index, output in enumerate(graph.outputs):
        if output is value and value.producer() is not None:
            graph.outputs[index] = given

"""How much a model's outputs move when its arithmetic is rounded otherwise.

Every floating-point value that the model computes is multiplied by random numbers that differ from
one by at most two units in the last place, and the model is run again: its outputs move as far as
another order of the same arithmetic can move them. This is stochastic arithmetic in the sense of
CESTAC (J. Vignes, "A stochastic arithmetic for reliable scientific computation", Mathematics and
Computers in Simulation 35, 1993), with ONNX Runtime as the arithmetic.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.proof.centred import scaled_input
from sardonyx.compiler.proof.exact import EPSILON, computed_exactly, digits, is_exact, is_rounded
from sardonyx.compiler.proof.terms import terms

_LARGE = 1e30
_GOLDEN = 0.6180339887498949

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
    those that are summed with nothing else, so that nothing disturbed cancels there; of these short
    numbers stay, for masks are made of them, and so do those that are computed exactly.

    Args:
        model: The model, its types inferred.
        seed: Of the random numbers.
        rounding: Round as much as this dtype does, where it is coarser than the value's own.
    """
    inputs = [v for v in model.graph.inputs if not v.is_initializer()]
    nodes = [node for graph in graphs_in(model.graph) for node in graph]
    exact = computed_exactly(nodes)
    # An output without a name is left out.
    made = [v for node in nodes if not is_exact(node) for v in node.outputs if v.name != ""]
    constants = _only_constants(model, nodes, exact)
    places = dict.fromkeys([*filter(is_rounded, (*inputs, *made)), *constants])
    seeds = itertools.count(seed * (len(places) + 2 * len(nodes)))
    numbers = _Numbers()
    first = next(iter(model.graph), None)
    for value in places:
        draw = _Draw(next(seeds), _unit(value, rounding))
        keeps = value in exact or value in constants
        disturbed = _disturbed(value, str(value.name), draw, numbers, keeps)
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
        if exact.isdisjoint(node.outputs):
            _disturb_terms(node, next(seeds), rounding, numbers)
    start = next(iter(model.graph), None)
    if start is not None:
        model.graph.insert_before(start, numbers.nodes)
    return len(places)


def _only_constants(
    model: ir.Model, nodes: list[ir.Node], exact: set[ir.Value]
) -> dict[ir.Value, None]:
    """Return what is summed by nodes that read constants, or what is exact, and nothing else."""
    moved = {v for graph in graphs_in(model.graph) for v in graph.inputs if not v.is_initializer()}
    found: dict[ir.Value, None] = {}
    for node in nodes:
        read = [v for v in node.inputs if v is not None and is_rounded(v)]
        if not moved.isdisjoint(read):
            moved.update(node.outputs)
        elif not is_exact(node) and exact.isdisjoint(node.outputs):
            moved.update(node.outputs)
            if node.op_type in _SUMS and not node.domain:
                found.update(dict.fromkeys(read))
    return {v: None for v in found if v.producer() is not None or v.graph is model.graph}


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


@dataclass(frozen=True)
class _Draw:
    """Random numbers that values are multiplied by.

    Attributes:
        seed: Of them.
        unit: The distance from one to the next number.
        times: How many such they are off at most.
    """

    seed: int
    unit: float
    times: float = 2.0


def _unit(value: ir.Value, rounding: ir.DataType | None) -> float:
    assert value.dtype is not None
    return max(EPSILON[value.dtype], EPSILON[rounding] if rounding is not None else 0.0)


def _disturbed(
    value: ir.Value, name: str, draw: _Draw, numbers: _Numbers, keeps_short: bool = False
) -> list[ir.Node]:
    """Return the nodes that multiply a value by one minus a little; the last one gives it."""
    dtype = value.dtype
    assert dtype is not None
    computed = dtype if dtype == ir.DataType.DOUBLE else ir.DataType.FLOAT
    nodes: list[ir.Node] = []

    def apply(op_type: str, *operands: ir.Value, **attributes: int | float) -> ir.Value:
        node = ir.node(op_type, operands, attributes)
        node.outputs[0].name = f"{name}.noise{len(nodes)}"
        nodes.append(node)
        return node.outputs[0]

    def number(of: float) -> ir.Value:
        return numbers.of(computed, of)

    wide = value if dtype == computed else apply("Cast", value, to=int(computed))
    # The last digits of a logarithm are as good as random, however large the number is, and no
    # operator for random numbers has a kernel at every opset.
    size = apply("Clip", apply("Abs", wide), number(1 / _LARGE), number(_LARGE))
    nodes.append(_constant(computed, _factor(draw.seed), f"{name}.factor"))
    factor = nodes[-1].outputs[0]
    # The logarithm of one is zero.
    spread = apply("Mul", apply("Add", apply("Log", size), number(_GOLDEN)), factor)
    drawn = apply("Mod", apply("Abs", spread), number(1.0), fmod=1)
    if keeps_short:
        before, after = digits(draw.unit)
        fraction = apply("Mod", apply("Mul", size, number(2.0**after)), number(1.0), fmod=1)
        beyond = apply("Floor", apply("Mul", size, number(2.0**-before)))
        drawn = apply("Mul", drawn, apply("Sign", apply("Add", fraction, beyond)))
    little = apply("Mul", drawn, number(draw.times * draw.unit))
    product = apply("Mul", wide, apply("Sub", number(1.0), little))
    if dtype != computed:
        apply("Cast", product, to=int(dtype))
    return nodes


def _disturb_terms(
    node: ir.Node, seed: int, rounding: ir.DataType | None, numbers: _Numbers
) -> None:
    """Move a sum of many products as far as another order of them does.

    It is the exact sum for slightly other factors: n products move them by n units of rounding at
    most, and by about the square root of that where errors are independent (N. J. Higham, "Accuracy
    and Stability of Numerical Algorithms", 2nd ed., 2002, 3.1; N. J. Higham and T. Mary, "A new
    approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019). What is of
    half precision is summed in single.
    """
    count = terms(node)
    if count == 1:
        return
    factor, graph = node.inputs[0], node.graph
    assert factor is not None
    assert graph is not None
    if factor.dtype not in EPSILON:
        return
    draw = _Draw(seed, _unit(factor, rounding))
    rounded_by = min(EPSILON[factor.dtype], EPSILON[ir.DataType.FLOAT]) / 2
    times = math.sqrt(count) * rounded_by / draw.unit
    if times > draw.times:
        name = f"{node.outputs[0].name}.terms"
        more = _disturbed(factor, name, replace(draw, times=times), numbers)
        graph.insert_before(node, more)
        node.replace_input_with(0, more[-1].outputs[0])


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
    draw = _Draw(seed, _unit(product, rounding))
    disturbed = _disturbed(product, str(product.name), draw, numbers)
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
    return 1000.0 * (1.0 + (seed + 0.5) * _GOLDEN % 1.0)


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

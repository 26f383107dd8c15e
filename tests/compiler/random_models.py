"""Random models of elementwise operators, data movement, shape arithmetic and branches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.types import Types
from tests.support.models import clone

Random = np.random.Generator
WIDTH = 6


def random_model(random: Random, steps: int = 25) -> ir.Model:
    """A model of two inputs [b, s, 6] all of whose inner tensors have that shape.

    Each step reads random earlier tensors; the last one and another are outputs, so that there is
    dead code as well.
    """
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 23}, name="random")
    made = ir.Model(graph, ir_version=10)
    for name in ("x", "z"):
        graph.inputs.append(ir.val(name, ir.DataType.FLOAT, ["b", "s", WIDTH]))
    op = Builder(Types(made), graph.opset_imports)
    known = list(graph.inputs)
    for _ in range(steps):
        step = STEPS[int(random.integers(len(STEPS)))]
        known.append(step(op, random, _pick(random, known), _pick(random, known)))
    graph.extend(op.nodes)
    outputs = [op.Tanh(known[-1]), op.Tanh(_pick(random, known)), known[int(len(known) / 2)]]
    graph.extend(op.nodes[-2:])
    for index, value in enumerate(op.constants):
        value.name = value.const_value.name = f"c{index}"
        graph.register_initializer(value)
    for index, value in enumerate(dict.fromkeys(outputs)):
        if value.is_graph_input():
            continue
        value.name = f"y{index}"
        value.shape = ir.Shape(["b", "s", WIDTH])
        graph.outputs.append(value)
    return clone(made)


def _pick(random: Random, values: list[ir.Value]) -> ir.Value:
    """Mostly recent ones, so that chains get long."""
    return values[-1 - min(int(random.exponential(3)), len(values) - 1)]


def _unary(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    name = random.choice(["Neg", "Abs", "Sigmoid", "Tanh", "Relu", "Identity", "Sin", "Erf"])
    return op.call(str(name), x)


def _binary(op: Builder, random: Random, x: ir.Value, y: ir.Value) -> ir.Value:
    return op.call(str(random.choice(["Add", "Sub", "Mul", "Max", "Min"])), x, y)


def _with_constant(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    shape = [(), (1,), (WIDTH,), (1, 1, WIDTH)][int(random.integers(4))]
    numbers = [np.zeros, np.ones, lambda s: random.normal(size=s)][int(random.integers(3))](shape)
    name = str(random.choice(["Add", "Mul", "Sub", "Pow"]))
    held = op.constant(np.asarray(numbers, np.float32))
    if name == "Pow":
        return op.Pow(op.Abs(x), op.constant(np.float32(random.integers(1, 3))))
    return op.call(name, *((x, held) if random.random() < 0.7 else (held, x)))


def _computed_constant(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    held = op.constant(np.asarray(random.normal(size=(WIDTH, 1)), np.float32))
    return op.Add(x, op.Mul(op.Transpose(held, perm=[1, 0]), op.constant(np.float32(0.5))))


def _there_and_back(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    perm = [int(i) for i in random.permutation(3)]
    moved = op.call(str(random.choice(["Neg", "Abs"])), op.Transpose(x, perm=perm))
    return op.Transpose(moved, perm=[int(i) for i in np.argsort(perm)])


def _matmul(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    weight = op.constant(np.asarray(0.3 * random.normal(size=(WIDTH, WIDTH)), np.float32))
    return op.MatMul(x, weight)


def _split_and_join(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    a, b = op.Split(x, [2, 4], axis=2, outputs=2)
    return op.Concat(b, a, axis=-1) if random.random() < 0.7 else op.Concat(a, b, axis=2)


def _slice(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    axis = int(random.integers(3))
    if random.random() < 0.5:
        return op.Slice(x, [0], [2**63 - 1], [axis], [1])
    return op.Slice(x, [-1], [-(2**63)], [axis], [-1])


def _cast(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    return op.Cast(op.Cast(x, to=ir.DataType.DOUBLE), to=ir.DataType.FLOAT)


def _where(op: Builder, random: Random, x: ir.Value, y: ir.Value) -> ir.Value:
    return op.Where(op.Greater(x, y), x, op.constant(np.float32(0.25)))


def _dim(op: Builder, random: Random, x: ir.Value, axis: int) -> ir.Value:
    """One dimension of x as a vector, in one of the ways in which exporters write it."""
    if random.random() < 0.3:
        return op.Shape(x, start=axis, end=axis + 1)
    shape = op.Shape(x)
    if random.random() < 0.5:
        shape = op.Cast(op.Cast(shape, to=ir.DataType.INT32), to=ir.DataType.INT64)
    if random.random() < 0.5:
        return op.Slice(shape, [axis], [axis + 1], [0])
    return op.Unsqueeze(op.Gather(shape, op.constant(np.array(axis))), [0])


def _reshape_there_and_back(op: Builder, random: Random, x: ir.Value, y: ir.Value) -> ir.Value:
    b, s = _dim(op, random, x, 0), _dim(op, random, y, 1)
    inner = [[b, s, [2], [3]], [[-1], [WIDTH]], [b, [-1]], [op.Mul(b, s), [3], [2]]]
    target = [p if isinstance(p, ir.Value) else np.array(p) for p in _choose(random, inner)]
    flat = op.Reshape(x, op.Concat(*target, axis=0))
    changed = op.call(str(random.choice(["Neg", "Sigmoid"])), flat)
    return op.Reshape(changed, op.Concat(b, s, np.array([WIDTH]), axis=0))


def _expand(op: Builder, random: Random, x: ir.Value, y: ir.Value) -> ir.Value:
    first = op.Slice(x, [0], [1], [0])
    return op.Expand(first, op.Shape(y))


def _range(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    length = op.Squeeze(_dim(op, random, x, 1), [0])
    steps = op.Range(op.constant(np.array(0)), length, op.constant(np.array(1)))
    return op.Add(x, op.Unsqueeze(op.Cast(steps, to=ir.DataType.FLOAT), [0, 2]))


def _filled(op: Builder, random: Random, x: ir.Value, _: ir.Value) -> ir.Value:
    value = ir.tensor(np.array([0.5], np.float32))
    return op.Add(x, op.ConstantOfShape(op.Shape(x), value=value))


def _branch(op: Builder, random: Random, x: ir.Value, y: ir.Value) -> ir.Value:
    graphs = []
    for name, value in (("t", x), ("e", y)):
        node = ir.node(str(random.choice(["Neg", "Sigmoid"])), [value])
        node.outputs[0].name = f"{name}{len(op.nodes)}"
        node.outputs[0].type, node.outputs[0].shape = value.type, ir.Shape(["b", "s", WIDTH])
        graphs.append(ir.Graph([], node.outputs, nodes=[node], name=f"{name}{len(op.nodes)}"))
    decided = op.constant(np.array(random.random() < 0.5))
    measured = op.Equal(op.Squeeze(_dim(op, random, x, 1), [0]), op.constant(np.array(1)))
    chosen = decided if random.random() < 0.5 else measured
    return op.If(chosen, then_branch=graphs[0], else_branch=graphs[1])


def _choose(random: Random, options: list) -> object:
    return options[int(random.integers(len(options)))]


STEPS: list[Callable[[Builder, Random, ir.Value, ir.Value], ir.Value]] = [
    *(_unary, _unary, _binary, _binary, _with_constant, _with_constant, _computed_constant),
    *(_there_and_back, _matmul, _split_and_join, _slice, _cast, _where),
    *(_reshape_there_and_back, _reshape_there_and_back, _expand, _range, _filled, _branch),
]

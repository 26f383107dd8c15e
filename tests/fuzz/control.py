"""Steps with subgraphs that read values of the graphs around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tests.fuzz import steps
from tests.fuzz.scope import Known, Refused, Scope
from tests.fuzz.steps import Step
from tests.fuzz.values import FLOATS, NUMBERS, chance, pick

D = ir.DataType


def walk(s: Scope, table: Sequence[tuple[Step, float]], count: int) -> None:
    """Take so many steps of a table; those that are refused make nothing."""
    weights = np.array([weight for _, weight in table])
    for _ in range(count):
        step, _ = table[int(s.random.choice(len(table), p=weights / weights.sum()))]
        try:
            step(s)
        except Refused:
            continue


def condition(s: Scope) -> Known:
    """A single truth: constant, of a length, of a number, or an input."""
    kind = int(s.random.integers(4))
    made: Known
    if kind == 0:
        made = s.constant(np.array(chance(s.random, 0.5)))
    elif kind == 1:
        x = s.of(NUMBERS | {D.BOOL}, least=1)
        made = s.Equal(s.Squeeze(s.Shape(x, start=0, end=1), np.array([0])), np.array(1))
    elif kind == 2:
        made = s.Greater(s.ReduceSum(s.of({D.FLOAT}), keepdims=0), np.float32(0))
    else:
        made = s.input(D.BOOL, [])
    return made


def if_(s: Scope) -> None:
    """An If whose branches read values from outside."""
    x = s.of(NUMBERS)
    c = condition(s)
    branches = [_branch(s, x) for _ in range(2)]
    names = ("then_branch", "else_branch")
    s.emit("If", c, **dict(zip(names, branches, strict=True)))


def _branch(s: Scope, x: Known) -> ir.Graph:
    inner = Scope(s.random, s.lengths, needs_kernels=s.needs_kernels, parent=s)
    y = x
    if chance(s.random, 0.3):
        walk(inner, steps.STEPS, 2)
    for _ in range(int(s.random.integers(1, 4))):
        y = _kept(inner, y)
    if chance(s.random, 0.1):
        y = _inner_if(inner, y)
    return _finished(inner, [], [y])


def _inner_if(s: Scope, x: Known) -> Known:
    c = condition(s)
    graphs = []
    for _ in range(2):
        inner = Scope(s.random, s.lengths, needs_kernels=s.needs_kernels, parent=s)
        graphs.append(_finished(inner, [], [_kept(inner, x)]))
    made: Known = s.emit("If", c, then_branch=graphs[0], else_branch=graphs[1])
    return made


def _kept(s: Scope, x: Known) -> Known:
    """A node that keeps dtype and shape and accepts every number."""
    if x.dtype in FLOATS and chance(s.random, 0.5):
        name = pick(s.random, ["Abs", "Sigmoid", "Tanh", "Relu", "Sin", "Identity", "Floor"])
        made: Known = s.emit(name, x)
        return made
    like = s.recent(lambda k: k.dtype == x.dtype and k.dims == x.dims and k.arrays is not None)
    other = like if like is not None and chance(s.random, 0.7) else None
    shape = () if chance(s.random, 0.7) else [d if isinstance(d, int) else 1 for d in x.dims]
    held = other or s.constant(np.full(shape, pick(s.random, [0, 1, 2]), x.dtype.numpy()))
    made = s.emit(pick(s.random, ["Add", "Mul", "Sub", "Max", "Min"]), x, held)
    if made.dims != x.dims:
        raise Refused("another shape")
    return made


def _finished(s: Scope, inputs: list[Known], outputs: list[Known]) -> ir.Graph:
    """The graph of a subgraph's scope. An output that is not made in it goes through Identity."""
    own = {v for node in s.op.nodes for v in node.outputs}
    made = [k if k.value in own else s.Identity(k) for k in outputs]
    graph = ir.Graph(
        [k.value for k in inputs], [k.value for k in made], nodes=s.op.nodes, name=s.fresh("g")
    )
    adopt(graph, s)
    return graph


def adopt(graph: ir.Graph, s: Scope) -> None:
    """Make the constants that are read initializers of the graph."""
    for value in s.op.constants:
        if value.uses():
            graph.register_initializer(value)


def _inner_input(s: Scope, prefix: str, like: Known | None = None, dims: object = None) -> Known:
    dtype, shape = (
        (D.INT64, []) if like is None else (like.dtype, dims if dims is not None else like.dims)
    )
    made = Known(ir.val(s.fresh(prefix), dtype, ir.Shape(shape)), None)  # type: ignore[arg-type]
    s.known.append(made)
    return made


def _body(s: Scope) -> Scope:
    inner = Scope(s.random, s.lengths, needs_kernels=s.needs_kernels, parent=s)
    inner.is_total = True
    return inner


def loop(s: Scope) -> None:
    """A Loop that carries a value and collects another."""
    x = s.of(NUMBERS)
    inner = _body(s)
    step = _inner_input(inner, "i")
    go = Known(ir.val(inner.fresh("k"), D.BOOL, ir.Shape([])), None)
    state = _inner_input(inner, "t", x)
    y = state
    for _ in range(int(s.random.integers(1, 4))):
        y = _kept(inner, y)
    collected = []
    if chance(s.random, 0.6):
        z = pick(s.random, [y, state, step])
        collected = [inner.Identity(z)]
    keep = inner.Identity(go)
    if chance(s.random, 0.3):
        keep = inner.Less(step, np.array(1))
    body = _finished(inner, [step, go, state], [keep, y, *collected])
    trips = s.constant(np.array(int(s.random.integers(0, 4))))
    if chance(s.random, 0.25):
        trips = s.input(D.INT64, [], [np.array(int(s.random.integers(0, 4))) for _ in s.lengths])
    start = s.constant(np.array(chance(s.random, 0.9))) if chance(s.random, 0.7) else None
    s.emit("Loop", trips, start, x, body=body, outputs=1 + len(collected))


def scan(s: Scope) -> None:
    """A Scan along the first axis of a value, with a running state."""
    x = s.of(NUMBERS - {D.BFLOAT16}, least=1)
    inner = _body(s)
    rest = x.dims[1:]
    start = s.constant(np.full((), pick(s.random, [0, 1]), x.dtype.numpy()))
    state = _inner_input(inner, "t", start, [])
    row = _inner_input(inner, "r", x, rest)
    total = inner.emit(pick(s.random, ["Add", "Max"]), state, inner.ReduceMax(row, keepdims=0))
    given = inner.emit(pick(s.random, ["Add", "Mul", "Sub"]), row, state)
    body = _finished(inner, [state, row], [total, given])
    flags = {"scan_input_directions": [1]} if chance(s.random, 0.3) else {}
    s.emit("Scan", start, x, body=body, num_scan_inputs=1, outputs=2, **flags)


STEPS: list[tuple[Step, float]] = [(if_, 1.0), (loop, 0.8), (scan, 0.6)]
"""Steps with subgraphs and how often they are taken."""

"""Draws a graph with its samples from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tests.fuzz import control, idioms, movement, sampled, steps
from tests.fuzz.functions import outline
from tests.fuzz.scope import Notes, Scope
from tests.fuzz.values import Array, any_dtype, any_shape, chance, lengths, pick

Sample = dict[str, Array]


@dataclass(frozen=True)
class Drawn:
    """A graph and what to feed it.

    Attributes:
        name: Seed and number: it is drawn again from them.
        model: The model, at opset 23.
        samples: Inputs, by name.
        needs_kernels: Whether only such operators were drawn that ONNX Runtime has kernels for.
        notes: What was noticed while it was made.
    """

    name: str
    model: ir.Model
    samples: list[Sample]
    needs_kernels: bool
    notes: Notes


def draw(seed: int, number: int) -> Drawn:
    """Return the graph of that number in the sequence of a seed."""
    random = np.random.default_rng([seed, number])
    s = Scope(random, lengths(random), needs_kernels=chance(random, 0.93))
    for _ in range(int(random.integers(1, 4))):
        s.input(any_dtype(random), any_shape(random))
    for _ in range(int(random.integers(1, 3))):
        _grow(s)
    model = _finished(s)
    samples = [{str(k.value.name): k.arrays[i] for k in s.inputs} for i in range(len(s.lengths))]  # type: ignore[index]
    return Drawn(f"{seed}:{number}", model, samples, s.needs_kernels, s.notes)


_MIXES = (
    # How many steps of idioms, arithmetic, movement, samples of rows, subgraphs.
    (0, 3, 3, 1, 0),
    (1, 1, 1, 0, 0),
    (1, 2, 0, 0, 0),
    (0, 6, 0, 0, 0),
    (0, 1, 5, 0, 0),
    (0, 1, 1, 2, 0),
    (0, 2, 2, 0, 1),
    (1, 1, 1, 0, 1),
)
_TABLES = (idioms.STEPS, steps.STEPS, movement.STEPS, sampled.STEPS, control.STEPS)


def _grow(s: Scope) -> None:
    counts = pick(s.random, _MIXES)
    order = [table for table, count in zip(_TABLES, counts, strict=True) for _ in range(count)]
    for index in s.random.permutation(len(order)):
        control.walk(s, order[index], 1)


def _finished(s: Scope) -> ir.Model:
    made = [k for k in s.known if k.arrays is not None and k.value.producer() is not None]
    made = [k for k in made if k.value.shape is not None]
    if not made:
        made = [s.Identity(s.inputs[0])]
    outputs = {made[-1]}
    # What nobody reads is mostly an output; some of it stays dead.
    outputs.update(k for k in made if not k.value.uses() and chance(s.random, 0.6))
    outputs.update(k for k in made if chance(s.random, 0.12))
    graph = s.graph
    graph.extend(s.op.nodes)
    graph.inputs.extend(k.value for k in s.inputs)
    graph.outputs.extend(k.value for k in made if k in outputs)
    control.adopt(graph, s)
    proto = ir.to_proto(s.model)
    if chance(s.random, 0.12):
        outline(proto, s.random, int(s.random.integers(1, 4)))
    return ir.from_proto(proto)

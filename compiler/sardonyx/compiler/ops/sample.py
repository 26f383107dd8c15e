"""Small random inputs for one node of an operator, for generated tests and fuzzing.

Shapes are small and asymmetric and have axes of length 1 now and then; values keep away from
points where an operator jumps or has no value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ir.types import Types

Array = npt.NDArray[Any]
Random = np.random.Generator
Shape = tuple[int, ...]
Values = Callable[[Random, Shape], Array]


@dataclass(frozen=True)
class Case:
    """Inputs and attributes for one node.

    Attributes:
        inputs: The operands; None leaves one out.
        attributes: The attributes that are set.
        constants: Numbers of the operands that are constants of the model.
        outputs: How many outputs to ask for; by default those that the schema demands.
    """

    inputs: tuple[Array | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: frozenset[int] = frozenset()
    outputs: int | None = None


Sampler = Callable[[Random], Case]


def model_of(op_type: str, domain: str, case: Case) -> tuple[ir.Model, dict[str, Array]]:
    """Return a model of one node and what to feed it, by input name."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": CANONICAL_OPSET}, name="sample")
    if domain:
        graph.opset_imports[domain] = 1
    model = ir.Model(graph, ir_version=10)
    op = Builder(Types(model), graph.opset_imports)
    operands: list[ir.Value | None] = []
    feed: dict[str, Array] = {}
    for index, array in enumerate(case.inputs):
        if array is None:
            operands.append(None)
        elif index in case.constants:
            value = op.constant(array)
            value.name = f"c{index}"
            graph.register_initializer(value)
            operands.append(value)
        else:
            name = f"x{index}"
            dtype = ir.DataType.from_numpy(array.dtype)
            value = ir.val(name, dtype, ir.Shape(array.shape))
            graph.inputs.append(value)
            feed[name] = array
            operands.append(value)
    made = op.call(
        op_type, *operands, domain=domain, outputs=case.outputs, attributes=None, **case.attributes
    )
    graph.extend(op.nodes)
    graph.outputs.extend(made if isinstance(made, tuple) else [made])
    return model, feed


def between(low: float, high: float, dtype: npt.DTypeLike = np.float32) -> Values:
    """Numbers spread evenly from `low` to `high`."""
    return lambda random, shape: np.asarray(random.uniform(low, high, shape)).astype(dtype)


def integers(low: int, high: int, dtype: npt.DTypeLike = np.int64) -> Values:
    """Whole numbers from `low` to `high` - 1."""
    return lambda random, shape: np.asarray(random.integers(low, high, shape)).astype(dtype)


def truths(random: Random, shape: Shape) -> Array:
    """Truth values."""
    return np.asarray(random.random(shape) < 0.5)


REAL = between(-3, 3)
POSITIVE = between(0.1, 3)
UNIT = between(-0.95, 0.95)
AWAY_FROM_ZERO: Values = lambda random, shape: (  # noqa: E731 - a table entry like its neighbours
    np.asarray(random.uniform(0.3, 3, shape) * random.choice([-1, 1], shape)).astype(np.float32)
)


def dims(random: Random, least: int = 1, most: int = 4) -> Shape:
    """Return a shape of `least` to `most` axes of 1 to 5 elements, mostly more than 1."""
    rank = int(random.integers(least, most + 1))
    return tuple(1 if random.random() < 0.15 else int(random.integers(2, 6)) for _ in range(rank))


def any_axis(random: Random, rank: int) -> int:
    """Return the number of an axis, counted from the front or from the back."""
    return int(random.integers(-rank, rank))


def some_axes(random: Random, rank: int, least: int = 1) -> list[int]:
    """Return different axes in any order, counted from the front or from the back."""
    count = int(random.integers(least, rank + 1))
    chosen = random.permutation(rank)[:count]
    return [int(axis) - (rank if random.random() < 0.5 else 0) for axis in chosen]


def ints(values: Sequence[int]) -> Array:
    """Return an int64 tensor."""
    return np.array(values, np.int64)


def unary(values: Values = REAL, **choices: Sequence[Any]) -> Sampler:
    """One operand of any shape; each attribute is one of its `choices`, or left out for None."""

    def sample(random: Random) -> Case:
        return Case((values(random, dims(random)),), choose(random, choices))

    return sample


def choose(random: Random, choices: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Pick a value for each attribute."""
    picked = {name: c[int(random.integers(len(c)))] for name, c in choices.items()}
    return {name: value for name, value in picked.items() if value is not None}


def broadcast(*operands: Values, **choices: Sequence[Any]) -> Sampler:
    """Operands that broadcast: some have fewer axes or axes of length 1, some are constants."""

    def sample(random: Random) -> Case:
        full = dims(random)
        whole = int(random.integers(len(operands)))
        inputs: list[Array] = []
        for index, values in enumerate(operands):
            shape = full if index == whole else _part(random, full)
            inputs.append(values(random, shape))
        constants = [i for i in range(len(operands)) if i != whole and random.random() < 0.4]
        return Case(tuple(inputs), choose(random, choices), frozenset(constants))

    return sample


def along(values: Values = REAL, **choices: Sequence[Any]) -> Sampler:
    """One operand and an attribute `axis`."""

    def sample(random: Random) -> Case:
        shape = dims(random)
        attributes = {"axis": any_axis(random, len(shape)), **choose(random, choices)}
        return Case((values(random, shape),), attributes)

    return sample


def _part(random: Random, full: Shape) -> Shape:
    if random.random() < 0.3:
        return full
    suffix = full[int(random.integers(len(full) + 1)) :]
    return tuple(1 if random.random() < 0.3 else length for length in suffix)

"""The two sides of a comparison: what can be run, and asked for the values inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.divergence.flow import Flow, members
from sardonyx.compiler.divergence.match import Pairs, pair
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir import provenance
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof import Executor
from sardonyx.compiler.proof.exact import EPSILON, is_exact
from sardonyx.compiler.proof.execute import Feeds
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.proof.samples import held

T = TypeVar("T")


@dataclass(frozen=True)
class Disturbance:
    """How the arithmetic of a run is disturbed.

    Attributes:
        seed: Of the random numbers.
        rounding: Round as much as this dtype does, where it is coarser than a value's own.
    """

    seed: int
    rounding: ir.DataType | None = None


class Side(Protocol):
    """A model that says what is right.

    Attributes:
        label: What to call it.
    """

    label: str

    @property
    def inputs(self) -> Sequence[str]:
        """The names of its inputs."""
        ...

    @property
    def outputs(self) -> Sequence[str]:
        """The names of its outputs."""
        ...

    @property
    def rounding(self) -> ir.DataType | None:
        """The coarsest dtype that it rounds to; None where that is float32 or finer."""
        ...

    def fit(self, sample: Feeds) -> Feeds:
        """Return a sample, its arrays by the names of this side, in the dtypes that it takes."""
        ...

    def run(self, sample: Feeds, disturbance: Disturbance | None = None) -> list[Array]:
        """Return its outputs."""
        ...

    def value(self, sample: Feeds, key: str, disturbance: Disturbance | None = None) -> Array:
        """Return one value inside of it, and hold no other."""
        ...

    def pairs(self, other: OnnxSide) -> Pairs:
        """Return, for values of another side, the keys of those here that should be equal."""
        ...

    def describe(self, key: str) -> str:
        """Return what a value is, in the words of the model's author."""
        ...

    def between(self, known: Sequence[str], key: str) -> list[str]:
        """Return what computes a value from others, in order."""
        ...


class OnnxSide:
    """An ONNX model on ONNX Runtime.

    Args:
        model: The model, such that ONNX Runtime takes it; not changed.
        executor: Runs it.
        label: What to call it.
        level: How far ONNX Runtime optimises it: "off", "basic", "extended" or "all".
        provider: Where it runs: "cpu", "cuda".

    Raises:
        InvalidModelError: An operator is used with operands that its definition forbids.
    """

    def __init__(
        self,
        model: ir.Model,
        executor: Executor,
        label: str,
        *,
        level: str = "all",
        provider: str = "cpu",
    ) -> None:
        self.model = model.clone()
        Types.inferred(self.model)
        self.label, self.level, self.provider = label, level, provider
        self.flow = Flow(self.model.graph)
        self.inputs = [str(v.name) for v in _required(self.model)]
        self.outputs = [str(v.name) for v in self.model.graph.outputs]
        self._executor = executor

    @property
    def rounding(self) -> ir.DataType | None:
        """The coarsest dtype that it rounds to; None where that is float32 or finer."""
        dtypes = {
            value.dtype
            for graph in graphs_in(self.model.graph)
            for node in graph
            if not is_exact(node)
            for value in node.outputs
        }
        coarse = [d for d in dtypes if d in EPSILON and EPSILON[d] > EPSILON[ir.DataType.FLOAT]]
        return max(coarse, key=lambda d: EPSILON[d], default=None)

    def fit(self, sample: Feeds) -> Feeds:
        """Return a sample by the names and in the dtypes of this side."""
        named = rename(sample, self.inputs, self.label)
        wanted = {str(v.name): v.dtype for v in _required(self.model)}
        return {name: _as_dtype(array, wanted[name]) for name, array in named.items()}

    def run(self, sample: Feeds, disturbance: Disturbance | None = None) -> list[Array]:
        """Return its outputs."""
        return self._execute(self.model.clone(), sample, disturbance)

    def value(self, sample: Feeds, key: str, disturbance: Disturbance | None = None) -> Array:
        """Return one value; nothing but what leads to it is run."""
        asked = self.model.clone()
        value = _find(asked, key)
        asked.graph.outputs.clear()
        asked.graph.outputs.append(value)
        ir.passes.common.RemoveUnusedNodesPass()(asked)
        return self._execute(asked, sample, disturbance)[0]

    def observe(self, sample: Feeds, key: str) -> tuple[list[Array], Array]:
        """Return its outputs and one value; of all values that one alone has to be kept."""
        asked = self.model.clone()
        if key in self.outputs:
            outputs = self._execute(asked, sample, None)
            return outputs, outputs[self.outputs.index(key)]
        asked.graph.outputs.append(_find(asked, key))
        *outputs, value = self._execute(asked, sample, None)
        return outputs, value

    def pairs(self, other: OnnxSide) -> Pairs:
        """Return, for values of another side, the names of those here that should be equal."""
        return pair(other.flow, self.flow)

    def describe(self, key: str) -> str:
        """Return the value's name and the place of its node."""
        number = self.flow.maker.get(key)
        if number is None:
            return f"{key!r}"
        return f"{key!r}, given by {provenance.site(self.flow.nodes[number])}"

    def between(self, known: Sequence[str], key: str) -> list[str]:
        """Return the places of the nodes that compute a value from others, in order."""
        end = self.flow.maker.get(key)
        if end is None:
            return []
        makers = [self.flow.maker[name] for name in known if name in self.flow.maker]
        clear = [each for each in makers if not self.flow.before[each] >> end & 1]
        return [
            provenance.site(self.flow.nodes[number])
            for number in members(self.flow.region(end, clear))
        ]

    def _execute(
        self, model: ir.Model, sample: Feeds, disturbance: Disturbance | None
    ) -> list[Array]:
        level = self.level
        if disturbance is not None and len(model.graph):
            add_noise(model, disturbance.seed, disturbance.rounding)
            level = "off"
        return self._executor.run(model, [sample], level=level, provider=self.provider)[0]


def rename(sample: Mapping[str, T], names: Sequence[str], label: str) -> dict[str, T]:
    """Return a sample by other names: by the same ones where they are, else in order.

    Raises:
        UnsupportedError: There are more or fewer of them.
    """
    if set(sample) == set(names):
        return {name: sample[name] for name in names}
    if len(sample) != len(names):
        raise UnsupportedError(
            "The inputs do not fit the model.",
            where=label,
            found=", ".join(sample) or "none",
            expected=", ".join(names) or "none",
        )
    return dict(zip(names, sample.values(), strict=True))


def _required(model: ir.Model) -> list[ir.Value]:
    return [v for v in model.graph.inputs if not v.is_initializer()]


def _find(model: ir.Model, name: str) -> ir.Value:
    return next(v for node in model.graph for v in node.outputs if v.name == name)


def _as_dtype(array: Array, dtype: ir.DataType | None) -> Array:
    if dtype is None or array.dtype.kind in "OUS":
        return array
    return array.astype(held(dtype))


def comparable(a: Array, b: Array) -> tuple[Array, Array]:
    """Return two arrays in one dtype if both are floating-point numbers; the wider one."""
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return a, b
    wide = np.promote_types(a.dtype, b.dtype)
    return a.astype(wide), b.astype(wide)

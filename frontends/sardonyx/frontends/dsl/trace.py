"""The state of a model while its function runs: graph, names, scopes, parameters, constants."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import CANONICAL_OPSET, DOMAIN_VERSIONS
from sardonyx.compiler.ir.types import Types
from sardonyx.frontends.dsl.errors import DslError, source_tag, user_line
from sardonyx.frontends.dsl.symbol import Symbol, describe

_CURRENT: ContextVar[Trace | None] = ContextVar("sardonyx_dsl_trace", default=None)
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_SCOPE_NAME = re.compile(r"[\w\-]+(\.[\w\-]+)*")
_IR_VERSION = 11
_MOST_SHARED_BYTES = 4096


@dataclass(eq=False)
class Block:
    """The main graph, or the body of a control-flow operator that is being built."""

    graph: ir.Graph
    parent: Block | None = None
    bodies: list[ir.Graph] = field(default_factory=list)
    """Bodies that were built in it, read by a node or not yet."""

    def sees(self, other: Block) -> bool:
        """Say whether values of `other` may be read here."""
        block: Block | None = self
        while block is not None:
            if block is other:
                return True
            block = block.parent
        return False


@dataclass(frozen=True)
class Parameter:
    """A learned tensor of a model.

    Attributes:
        name: Full name, for example "encoder.layer_0.query.weight".
        value: Its value in the graph.
        trainable: False for running statistics.
        where: The line that made it.
    """

    name: str
    value: ir.Value
    trainable: bool
    where: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        assert self.value.const_value is not None
        return tuple(self.value.const_value.shape.numpy())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype as numpy has it."""
        assert self.value.const_value is not None
        return self.value.const_value.dtype.numpy()

    def numpy(self) -> np.ndarray[Any, Any]:
        """Its present values; fresh parameters are initialised at the first call."""
        assert self.value.const_value is not None
        return np.asarray(self.value.const_value.numpy())


@dataclass(frozen=True)
class Settings:
    """How a model is built.

    Attributes:
        seed: Seed of the initialisers and of random operators.
        training: Whether layers behave as in training.
    """

    seed: int = 0
    training: bool = False


@dataclass
class Names:
    """What is named so far; copied to try something and take it back."""

    taken: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    constants: dict[tuple[Any, ...], ir.Value] = field(default_factory=dict)

    def copy(self) -> Names:
        """Return an independent copy."""
        return replace(
            self,
            taken=dict(self.taken),
            parameters=dict(self.parameters),
            constants=dict(self.constants),
        )

    def unique(self, name: str) -> str:
        """Return `name`, or `name_1`, `name_2`... where it is taken."""
        number = self.taken.get(name)
        if number is None:
            self.taken[name] = 1
            return name
        while f"{name}_{number}" in self.taken:
            number += 1
        self.taken[name] = number + 1
        return self.unique(f"{name}_{number}")


class Trace:
    """A model that is being built.

    Attributes:
        graph: The main graph.
        block: The block that nodes go into now.
        root: The block of the main graph.
        types: The type facts of the model.
        builder: Makes the nodes.
        names: Names, parameters and constants so far.
        declared: Symbolic dims of the inputs that are a plain name.
        inputs: The inputs by name.
        path: Names of the open scopes.
        settings: Seed, and whether the model is for training.
        updates: Next values of parameters by the parameter's name.
        wrap: Makes the symbolic tensor of a value of a block.
    """

    def __init__(
        self,
        name: str,
        inputs: list[ir.Value],
        settings: Settings,
        wrap: Callable[[ir.Value, Block], Symbol],
    ) -> None:
        self.graph = ir.Graph(inputs, [], nodes=[], opset_imports={"": CANONICAL_OPSET}, name=name)
        self.model = ir.Model(self.graph, ir_version=_IR_VERSION, producer_name="sardonyx.dsl")
        self.types = Types(self.model)
        self.builder = Builder(self.types, self.model.opset_imports)
        self.root = self.block = Block(self.graph)
        self.names = Names({str(value.name): 1 for value in inputs})
        dims = [dim for value in inputs for dim in value.shape or ()]
        self.declared = {str(dim) for dim in dims if _NAME.fullmatch(str(dim))}
        self.inputs = inputs
        self.path: list[str] = []
        self.settings = settings
        self.updates: dict[str, Symbol] = {}
        self.wrap = wrap

    def tensor(self, value: ir.Value, block: Block | None = None) -> Any:
        """Return the symbolic tensor of a value of the block that is being built."""
        return self.wrap(value, block or self.block)

    def full_name(self, name: str) -> str:
        """Return a name with the open scopes in front."""
        return ".".join([*self.path, name])

    def source(self) -> str:
        """Return what a node records of where it comes from: scopes and the user's line."""
        return " ".join(filter(None, [".".join(self.path), source_tag()]))

    def draw_seed(self, kind: str) -> int:
        """Return a seed below 2 ** 24 for one place of the model that draws at random.

        A float holds it exactly: the seeds of ONNX's random operators are floats.
        """
        place = self.names.unique(self.full_name(f"{kind}.seed"))
        digest = hashlib.blake2s(f"{self.settings.seed} {place}".encode(), digest_size=3).digest()
        return int.from_bytes(digest, "little")

    def require_visible(self, symbol: Symbol) -> None:
        """Refuse a tensor of another model, or one that left the body it was made in.

        Raises:
            DslError: It may not be read here.
        """
        if self.block.sees(symbol.block):
            return
        root = symbol.block
        while root.parent is not None:
            root = root.parent
        if root is not self.root:
            raise DslError(
                "This tensor belongs to another model.",
                found=describe(symbol),
                expected="an input of this model, or what was computed from one",
                remedy="pass it in as an input of this model; use plain Python functions for "
                "parts that models share",
            )
        raise DslError(
            "This tensor belongs to a body of cond, loop or scan that is finished.",
            found=describe(symbol),
            expected="what is made here or around this line",
            remedy="return it from the body, and use what cond, loop or scan returns",
        )

    def constant(self, array: np.ndarray[Any, Any] | ir.TensorProtocol) -> ir.Value:
        """Return the value of a constant of the main graph; equal small ones are shared."""
        tensor = held(array)
        key: tuple[Any, ...] = ()
        if tensor.nbytes <= _MOST_SHARED_BYTES and tensor.dtype != ir.DataType.STRING:
            key = (tensor.dtype, tuple(tensor.shape.numpy()), tensor.tobytes())
            if key in self.names.constants:
                return self.names.constants[key]
        name = self.names.unique("constant")
        value = self._initializer(name, tensor)
        self.names.constants[key or (name,)] = value
        return value

    def parameter(self, name: str, held: ir.TensorProtocol, trainable: bool) -> ir.Value:
        """Add a parameter under its full name.

        Raises:
            DslError: Another one has that name.
        """
        known = self.names.parameters.get(name)
        if not self.claim(name):
            raise DslError(
                f"There are two parameters named {name!r}.",
                found=f"the first one is made at {known.where}" if known else "an input has it",
                expected="a name of its own for each parameter",
                remedy='give one another name=..., or put it in `with dsl.scope("..."):`; '
                "to use one parameter twice, make it with dsl.parameter and pass it as weight=",
            )
        value = self._initializer(name, held)
        self.names.parameters[name] = Parameter(name, value, trainable, user_line() or "?")
        return value

    def claim(self, name: str, claimant: ir.Value | None = None) -> bool:
        """Take a name that the user gives; what has it by chance gets another one.

        Return False where an input, an output or a parameter has it.
        """
        if name not in self.names.taken:
            self.names.taken[name] = 1
            return True
        given = [*self.inputs, *self.graph.outputs]
        if name in self.names.parameters or any(value.name == name for value in given):
            return False
        made = list(self.names.constants.values())
        block: Block | None = self.block
        while block is not None:
            for graph in (block.graph, *block.bodies):
                made += [value for node in graph.all_nodes() for value in node.outputs]
            block = block.parent
        for value in made:
            if value.name == name and value is not claimant:
                value.name = self.names.unique(name)
        return True

    def _initializer(self, name: str, held: ir.TensorProtocol) -> ir.Value:
        value = ir.Value(
            name=name,
            shape=ir.Shape(held.shape.numpy()),
            type=ir.TensorType(held.dtype),
            const_value=held,
        )
        self.graph.register_initializer(value)
        return value

    def import_domain(self, domain: str) -> None:
        """Let the model use operators of a domain."""
        self.graph.opset_imports.setdefault(domain, DOMAIN_VERSIONS.get(domain, 1))

    def restore(self, names: Names) -> None:
        """Forget the parameters and constants made since `names` was copied."""
        kept = {id(p.value) for p in names.parameters.values()}
        kept |= {id(value) for value in names.constants.values()}
        made = [*self.names.parameters.values()]
        dropped = [p.value for p in made] + list(self.names.constants.values())
        for value in dropped:
            if id(value) not in kept:
                self.graph.initializers.pop(str(value.name), None)
        self.names = names


def held(array: np.ndarray[Any, Any] | ir.TensorProtocol) -> ir.TensorProtocol:
    """Return an array as a tensor; texts too."""
    if isinstance(array, ir.TensorProtocol):
        return array
    return ir.tensor(array.tolist() if array.dtype.kind in "US" else array)


def current() -> Trace:
    """Return the model that is being built.

    Raises:
        DslError: None is.
    """
    trace = _CURRENT.get()
    if trace is None:
        raise DslError(
            "No model is being built here.",
            found="a call outside of a model's function",
            expected="a call inside a function that @dsl.model(...) decorates",
            remedy="move this line into the model's function",
        )
    return trace


@contextlib.contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Make `trace` the model that is being built."""
    token = _CURRENT.set(trace)
    try:
        yield trace
    finally:
        _CURRENT.reset(token)


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Put `name.` in front of the names of all parameters and nodes made inside.

    A scope may be opened again: automatic names go on where they stopped.

    Raises:
        DslError: The name is empty or has characters other than letters, digits, `_`, `-`, `.`.
    """
    trace = current()
    if not isinstance(name, str) or not _SCOPE_NAME.fullmatch(name):
        raise DslError(
            "A scope needs a plain name.",
            found=repr(name),
            expected='letters, digits, "_" and "-", parts separated by "."',
            remedy='write for example dsl.scope("encoder.layer_0")',
        )
    trace.path.append(name)
    try:
        yield
    finally:
        trace.path.pop()


@contextlib.contextmanager
def layer(kind: str, name: str | None) -> Iterator[None]:
    """Open the scope of one layer: its `name`, or `kind`, `kind_1`... in order of calls."""
    trace = current()
    if name is None:
        full = trace.names.unique(trace.full_name(kind))
        name = full.removeprefix(trace.full_name(""))
    with scope(name):
        yield

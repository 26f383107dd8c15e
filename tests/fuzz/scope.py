"""A graph under construction whose values are known: each node is run as it is made."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.targets.kernels import missing_kernel
from tests.fuzz.reference import evaluator
from tests.fuzz.safety import is_safe
from tests.fuzz.values import FLOATS, Array, Random, any_dtype, any_shape, chance, elements

_MOST_ELEMENTS = 4096
_LARGE = 1e5


class Refused(Exception):
    """A node that was tried is not valid, not safe, or not worth having."""


@dataclass(frozen=True, eq=False)
class Known:
    """A value and, for each sample, what it holds; what is made in a loop's body holds None."""

    value: ir.Value
    arrays: tuple[Array, ...] | None

    @property
    def dtype(self) -> ir.DataType:
        """Its dtype."""
        assert self.value.dtype is not None
        return self.value.dtype

    @property
    def dims(self) -> list[int | str]:
        """Its dims, as a graph says them; those that nobody knows by a name of their own."""
        if self.value.shape is None:
            raise Refused("rank")
        return [d if isinstance(d, int) else str(d) for d in self.value.shape]

    @property
    def rank(self) -> int:
        """How many dims it has."""
        return len(self.dims)


@dataclass(frozen=True)
class Complaint:
    """A node whose inferred type is not what the reference gives.

    Attributes:
        what: In words.
        model: The node alone.
        feeds: Its operands.
        shapes: For each output, what was inferred, as far as it says a length.
    """

    what: str
    model: onnx.ModelProto
    feeds: dict[str, Array]
    shapes: list[list[int | None] | None]


@dataclass
class Notes:
    """What was noticed while graphs were made.

    Attributes:
        complaints: Types that were inferred and are not those of the reference.
        refused: How often each operator did not fit, by what said so.
    """

    complaints: list[Complaint] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class Scope:
    """Makes nodes by operator name (`s.Add(x, y)`), of the main graph or of a subgraph.

    Arrays among the operands become constants.

    Attributes:
        random: Where everything random comes from.
        lengths: For each sample, the lengths of the dynamic dims.
        known: The values that nodes may read.
        inputs: The inputs of the graph.
        is_total: Whether only such operators are wanted that accept every number.
    """

    def __init__(
        self,
        random: Random,
        lengths: list[dict[str, int]],
        *,
        needs_kernels: bool = True,
        parent: Scope | None = None,
    ) -> None:
        self.random, self.lengths, self.parent = random, lengths, parent
        self.needs_kernels = needs_kernels
        self.is_total = False
        self.known: list[Known] = list(parent.known) if parent else []
        self.inputs: list[Known] = []
        self.notes = parent.notes if parent else Notes()
        self.graph = ir.Graph([], [], nodes=[], opset_imports={"": CANONICAL_OPSET}, name="fuzz")
        if parent is None:
            self.model = ir.Model(self.graph, ir_version=10)
            self.types = Types(self.model)
            self.count = 0
        else:
            self.types = parent.types
        self.op = Builder(self.types, {"": CANONICAL_OPSET})

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        if not op_type[0].isupper():
            raise AttributeError(op_type)
        return partial(self.emit, op_type)

    # --- values --------------------------------------------------------------------------------

    def fresh(self, prefix: str) -> str:
        """A name that nobody has."""
        root: Scope = self
        while root.parent is not None:
            root = root.parent
        root.count += 1
        return f"{prefix}{root.count}"

    def input(
        self, dtype: ir.DataType, dims: Sequence[int | str], arrays: Sequence[Array] | None = None
    ) -> Known:
        """A new input of the main graph."""
        if self.parent is not None:
            return self.parent.input(dtype, dims, arrays)
        value = ir.val(self.fresh("x"), dtype, ir.Shape(dims))
        if arrays is None:
            sizes = [[n[d] if isinstance(d, str) else d for d in dims] for n in self.lengths]
            arrays = [elements(self.random, dtype, size, odd=0.04) for size in sizes]
        made = Known(value, tuple(arrays))
        self.inputs.append(made)
        self.known.append(made)
        return made

    def constant(self, array: Any) -> Known:
        """A constant: an initializer, or a Constant node."""
        held = np.asarray(array)
        tensor = ir.tensor(held) if held.dtype != object else _texts(held)
        if chance(self.random, 0.2):
            (made,) = self.emit("Constant", value=tensor, as_tuple=True)
            return made
        value = self.op.constant(tensor)
        value.name = tensor.name = self.fresh("c")
        made = Known(value, tuple(held for _ in self.lengths))
        if chance(self.random, 0.1):
            self.known.append(made)
        return made

    def recent(self, wanted: Callable[[Known], bool] = lambda _: True) -> Known | None:
        """A value that is wanted; mostly a recent one, so that chains get long."""
        options = [k for k in self.known if k.value.shape is not None and wanted(k)]
        if not options:
            return None
        back = min(int(self.random.exponential(3)), len(options) - 1)
        return options[-1 - back]

    def of(self, dtypes: Iterable[ir.DataType], least: int = 0) -> Known:
        """A value of one of these dtypes and so many dims; a new input if there is none."""
        allowed = frozenset(dtypes)
        found = self.recent(lambda k: k.dtype in allowed and k.rank >= least)
        if found is not None and not chance(self.random, 0.05):
            return found
        return self.input(any_dtype(self.random, allowed), any_shape(self.random, least))

    # --- nodes ---------------------------------------------------------------------------------

    def emit(
        self,
        op_type: str,
        *operands: Known | Array | None,
        outputs: int | None = None,
        as_tuple: bool = False,
        **attributes: Any,
    ) -> Any:
        """Make a node, and return its output or the tuple of its outputs.

        Raises:
            Refused: It is none that the graph should have.
        """
        given = [
            x if x is None or isinstance(x, Known) else self.constant(np.asarray(x))
            for x in operands
        ]
        values = [x.value if x is not None else None for x in given]
        try:
            self.op.call(op_type, *values, outputs=outputs, **attributes)
        except SardonyxError as error:
            said = (error.found or error.what or "").splitlines()[0]
            self.notes.refused[f"{op_type}: {said[:120]}"] += 1
            raise Refused(said) from None
        node = self.op.nodes[-1]
        node.name = self.fresh("n")
        for value in node.outputs:
            value.name = self.fresh("v")
        try:
            made = self._accepted(node, given)
        except Refused:
            self.op.nodes.remove(node)
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
            raise
        if op_type != "Constant":
            self.known.extend(k for k in made if k.value.dtype is not None)
        return made if as_tuple or len(made) > 1 else made[0]

    def _accepted(self, node: ir.Node, given: Sequence[Known | None]) -> tuple[Known, ...]:
        if self.needs_kernels and missing_kernel(node, CANONICAL_OPSET) is not None:
            raise Refused("no kernel")
        if any(not isinstance(v.type, ir.TensorType) or v.dtype is None for v in node.outputs):
            raise Refused("no tensor")
        operands = [_of_sample(given, i) for i in range(len(self.lengths))]
        if not all(is_safe(node, arrays, is_total=self.is_total) for arrays in operands):
            raise Refused("not safe")
        if self.is_total or any(k is not None and k.arrays is None for k in given):
            return tuple(Known(value, None) for value in node.outputs)
        free = self.free_values(node)
        fed = [
            {str(k.value.name): k.arrays[index] for k in free if k.arrays}
            for index in range(len(self.lengths))
        ]
        rows = evaluate(node, fed)
        for feeds, arrays in zip(fed, rows, strict=True):
            self._check_worth(node, list(feeds.values()), arrays)
        for feeds, arrays, lengths in zip(fed, rows, self.lengths, strict=True):
            self._check_types(node, arrays, feeds, lengths)
        columns = zip(*rows, strict=True)
        return tuple(Known(v, tuple(c)) for v, c in zip(node.outputs, columns, strict=True))

    def free_values(self, node: ir.Node) -> list[Known]:
        """What a node reads, its subgraphs included."""
        found = {v for v in node.inputs if v is not None}
        inner = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
        for graph in inner:
            own = {*graph.inputs, *graph.initializers.values()}
            own.update(v for each in graph.all_nodes() for v in each.outputs)
            for each in graph.all_nodes():
                for a in each.attributes.values():
                    if a.type == ir.AttributeType.GRAPH:
                        own.update(a.as_graph().inputs)
                        own.update(a.as_graph().initializers.values())
            found.update(v for each in graph.all_nodes() for v in each.inputs if v and v not in own)
            found.update(v for v in graph.outputs if v not in own)
        by_value = {k.value: k for k in self._all_known()}
        for value in found:
            if value not in by_value and value.const_value is not None:
                held = _array_of(value.const_value)
                by_value[value] = Known(value, tuple(held for _ in self.lengths))
        if any(value not in by_value or by_value[value].arrays is None for value in found):
            raise Refused("an operand is not known")
        return [by_value[value] for value in found]

    def _all_known(self) -> list[Known]:
        above = self.parent._all_known() if self.parent is not None else []
        # What a Constant node gives is not listed among the values to choose from.
        constants = [
            Known(v, tuple(_array_of(n.attributes["value"].value) for _ in self.lengths))
            for n in self.op.nodes
            if n.op_type == "Constant"
            for v in n.outputs
        ]
        return [*above, *self.known, *constants]

    def _check_worth(self, node: ir.Node, operands: list[Array], outputs: list[Array]) -> None:
        """Refuse most of what is huge, infinite or no number although the operands are."""
        for value, array in zip(node.outputs, outputs, strict=True):
            if value.dtype is not None and array.dtype != value.dtype.numpy():
                self.notes.refused[f"{node.op_type}: the reference gives {array.dtype}"] += 1
                raise Refused("dtype of the reference")
            if array.size > _MOST_ELEMENTS:
                raise Refused("large")
        if not chance(self.random, 0.9) or node.op_type == "Constant":
            return
        if all(map(_is_tame, operands)) and not all(map(_is_tame, outputs)):
            raise Refused("wild")

    def _check_types(
        self, node: ir.Node, arrays: list[Array], feeds: dict[str, Array], lengths: dict[str, int]
    ) -> None:
        """Complain and refuse where what comes out has another type than was inferred.

        Raises:
            Refused: It has.
        """
        shapes = [
            _lengths_of(v, x.shape, lengths) for v, x in zip(node.outputs, arrays, strict=True)
        ]
        for value, array, shape in zip(node.outputs, arrays, shapes, strict=True):
            if shape is None or fits(array.shape, shape):
                continue
            what = f"{node.op_type}: inferred {value.shape}, the reference gives {array.shape}"
            complaint = Complaint(what, alone(node, feeds), feeds, shapes)
            self.notes.complaints.append(complaint)
            raise Refused(what)


def fits(found: tuple[int, ...], shape: list[int | None]) -> bool:
    """Say whether a shape is what was inferred."""
    return len(found) == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, found, strict=True)
    )


def alone(node: ir.Node, feeds: dict[str, Array]) -> onnx.ModelProto:
    """A model of one node."""
    outputs = [onnx.ValueInfoProto(name=v.name) for v in node.outputs]
    inputs = [
        onnx.helper.make_tensor_value_info(name, _dtype_of(x), x.shape) for name, x in feeds.items()
    ]
    graph = onnx.helper.make_graph([ir.serde.serialize_node(node)], "node", inputs, outputs)
    opsets = [onnx.helper.make_opsetid("", CANONICAL_OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)


def evaluate(node: ir.Node, fed: Sequence[dict[str, Array]]) -> list[list[Array]]:
    """What a node gives for each sample, by onnx's reference evaluator.

    Raises:
        Refused: It gives nothing, or something else than tensors.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = evaluator(alone(node, fed[0]))
            rows = [known.run(None, feeds) for feeds in fed]
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    if any(isinstance(x, (list, tuple, dict)) or x is None for made in rows for x in made):
        raise Refused("no tensor")
    return [[np.asarray(x) for x in made] for made in rows]


def _of_sample(given: Sequence[Known | None], index: int) -> list[Array | None]:
    return [k.arrays[index] if k is not None and k.arrays is not None else None for k in given]


def _array_of(tensor: ir.TensorProtocol) -> Array:
    if isinstance(tensor, ir.StringTensor):
        made = np.empty(tensor.size, object)
        made[:] = [text.decode() for text in tensor.string_data()]
        return made.reshape(tensor.shape.numpy())
    return np.asarray(tensor.numpy())


def _texts(array: Array) -> ir.StringTensor:
    return ir.StringTensor([t.encode() for t in array.reshape(-1)], shape=ir.Shape(array.shape))


def _is_tame(array: Array) -> bool:
    dtype = _dtype_of(array)
    if dtype not in FLOATS or not array.size:
        return True
    wide = array.astype(np.float64)
    return bool(np.all(np.isfinite(wide))) and float(np.abs(wide).max()) < _LARGE


def _dtype_of(array: Array) -> ir.DataType:
    return ir.DataType.STRING if array.dtype == object else ir.DataType.from_numpy(array.dtype)


def _lengths_of(
    value: ir.Value, found: tuple[int, ...], lengths: dict[str, int]
) -> list[int | None] | None:
    """The lengths that an inferred shape says; None for those, or for all, that it does not."""
    if value.shape is None:
        return None
    if len(value.shape) != len(found):
        return [d if isinstance(d, int) else None for d in value.shape]
    made: list[int | None] = []
    for dim, length in zip(value.shape, found, strict=True):
        expected: Any = dim if isinstance(dim, int) else None
        if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
            names = dim.free_symbols()
            if names <= lengths.keys():
                expected = dim.evaluate(lengths)
            elif str(dim.value) in names:
                # A symbol for a dim that nobody knows stands for one length.
                expected = lengths.setdefault(str(dim.value), length)
        # Symbols are taken to be one at least: of an empty dim a slice may leave less than nothing.
        made.append(max(expected, 0) if isinstance(expected, int) else None)
    return made

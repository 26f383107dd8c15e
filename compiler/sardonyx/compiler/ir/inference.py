"""Infers dtypes, symbolic shapes and the elements of shape tensors, for whole graphs and new nodes.

The functions for single operators are those of onnx-shape-inference, except where
`inference_rules` and `control_flow` have sounder ones. What is inferred holds for every run in
which the inputs are as the model declares them and no operator fails. What a file declares of
intermediate shapes counts for nothing. Named dimensions are simplified as if they were at least 1;
where that makes the length of a slice wrong for an empty axis, the length has a symbol of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import onnx_ir as ir
from onnx_shape_inference import ShapeInferenceContext, registry

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir import constants, control_flow, inference_rules
from sardonyx.compiler.ir.provenance import site

Dim = int | ir.SymbolicDim
Functions = Mapping[tuple[str, str, str], ir.Function]

_MOST_ELEMENTS = 64
"""A longer tensor is no shape; its elements are not followed."""

_MOST_CHARACTERS = 500
_HIGH_POWER = re.compile(r"\*\*\(?\d{2}")
"""What an expression of dimensions may be; a larger one counts as unknown."""

_TOO_LONG = 1 << 62

registry.collect()
inference_rules.register()


class Inference(ShapeInferenceContext):  # type: ignore[misc]
    """What is known of the values of one model.

    Args:
        opset_imports: The opset of each domain.
        functions: The model's own functions.
        names: Symbols that the model has already; they are never minted for anything else.
    """

    def __init__(
        self, opset_imports: Mapping[str, int], functions: Functions, names: set[str]
    ) -> None:
        super().__init__(opset_imports, policy="refine")
        self.reserve_symbol_names(names)
        self._functions = functions
        self._known: dict[ir.Value, list[Dim]] = {}
        # Symbols first seen in a shape and those first seen as an element that is no dimension.
        self._in_shapes = set(names)
        self._loose: set[str] = set()
        # What was seen as a whole dimension, and so cannot be negative.
        self._whole: set[str] = set(names)
        self._lengths: dict[Hashable, ir.SymbolicDim] = {}
        self.loops = 0

    def infer_graph(self, graph: ir.Graph | ir.Function) -> None:
        """Infer the values of a graph, whose inputs are known, and of the graphs inside it.

        Raises:
            InvalidModelError: An operator does not accept its operands.
        """
        if isinstance(graph, ir.Graph):
            _believe_initializers(graph)
        for value in graph.inputs:
            self.name_anonymous_dims(value)
        for node in graph:
            try:
                self.infer_node(node)
            except InvalidModelError:
                raise
            except Exception as error:  # The library's functions raise anything.
                raise InvalidModelError(
                    "The model's types do not fit together.",
                    where=site(node),
                    found=root_message(error),
                ) from error

    def reserve(self, names: set[str]) -> None:
        """Never mint these for anything."""
        self.reserve_symbol_names(names)

    def infer_node(self, node: ir.Node) -> None:
        """Infer the outputs of a node, whose operands are known; forget what was known of them."""
        for value in node.outputs:
            value.shape = None
            self._known.pop(value, None)
        for operand in node.inputs:
            if operand is not None:
                self.name_anonymous_dims(operand)
        domain = "" if node.domain == "ai.onnx" else node.domain
        infer_with_bodies = control_flow.BODIES.get(node.op_type) if not domain else None
        if infer_with_bodies is not None:
            infer_with_bodies(self, node)
            return
        for graph in control_flow.bodies(node):
            control_flow.forget_inputs(graph)
            self.infer_graph(graph)
        infer = registry.get(domain, node.op_type, self.get_opset_version(domain))
        function = self._functions.get(node.op_identifier())
        if infer is not None:
            with _constants_shown(node, self._known):
                infer(self, node)
        elif function is not None:
            self._infer_call(node, function)

    def new_symbolic_dim(self) -> ir.SymbolicDim:
        """Return a symbol that nothing else has."""
        symbol: ir.SymbolicDim = super().new_symbolic_dim()
        return symbol

    def length(self, computed: Hashable) -> ir.SymbolicDim:
        """Return the symbol of a length that no expression says, the same if computed the same."""
        if computed not in self._lengths:
            self._lengths[computed] = self.new_symbolic_dim()
        return self._lengths[computed]

    def set_shape(self, value: ir.Value, shape: ir.Shape) -> bool:
        """Set a shape; numbers in the guise of symbols become numbers."""
        is_changed: bool = super().set_shape(value, ir.Shape([self._as_dim(d) for d in shape]))
        return is_changed

    def set_symbolic_value(self, value: ir.Value, data: list[Dim]) -> None:
        """Note the elements of a tensor, if it is one of at most one axis that has so many."""
        elements = [settled(e) for e in data]
        if not _can_hold(value, elements) or any(map(_is_huge, elements)):
            return
        self._known[value] = elements
        for element in elements:
            if isinstance(element, ir.SymbolicDim) and element.value not in self._whole:
                self._loose |= element.free_symbols() - self._in_shapes

    def get_symbolic_value(self, value: ir.Value) -> list[Dim] | None:
        """Return the elements of a small integer tensor of at most one axis, or None."""
        if value in self._known:
            return self._known[value]
        is_vector = value.shape is not None and len(value.shape) <= 1
        if not is_vector or value.dtype is None or not value.dtype.is_integer():
            return None
        held = constants.array(value, int(_MOST_ELEMENTS * value.dtype.itemsize))
        return None if held is None else [int(e) for e in held.reshape(-1)]

    def is_negative(self, element: Dim) -> bool | None:
        """Say whether an element is below zero, or None where that is not known."""
        if isinstance(element, int):
            return element < 0
        is_positive = element.value in self._whole or _is_maximum_with_0(str(element.value))
        return False if is_positive else None

    def add_symbolic_equality(self, a: object, b: object) -> None:
        """Note nothing: symbols are not renamed by what a file declares."""

    def add_upper_bound(self, lhs: object, rhs: object) -> None:
        """Note nothing: nobody asks."""

    def _as_dim(self, dim: Dim) -> Dim:
        """Return what a shape may hold in the place of `dim`.

        An element that is not known to be a dimension may be -1 or 0 where it is used as one, as
        Reshape allows. The dimension then is another number, and gets a symbol of its own.
        """
        dim = settled(dim)
        if isinstance(dim, int):
            _check_length(dim)
            return dim
        if dim.value is None or dim.value in self._whole:
            return dim
        if _is_huge(dim):
            dim = self.new_symbolic_dim()
        if self._loose and not self._loose.isdisjoint(dim.free_symbols()):
            dim = self.new_symbolic_dim()
        self._in_shapes |= dim.free_symbols()
        self._whole.add(str(dim.value))
        return dim

    def _infer_call(self, node: ir.Node, function: ir.Function) -> None:
        """Infer a copy of the function's body with the operands and attributes of this call."""
        body = function.clone()
        inner = Inference(body.opset_imports, self._functions, set())
        inner._allocator = self._allocator
        inner._in_shapes, inner._loose, inner._whole = self._in_shapes, self._loose, self._whole
        inner._lengths = self._lengths
        for formal, given in zip(body.inputs, node.inputs, strict=False):
            if given is None:
                continue
            formal.type, formal.shape = given.type, given.shape
            known = self.get_symbolic_value(given)
            if known is not None:
                inner._known[formal] = known
        _bind_attributes(body, node)
        inner.infer_graph(body)
        for output, end in zip(node.outputs, body.outputs, strict=False):
            output.type = end.type if output.type is None else output.type
            output.shape = end.shape


def settled(dim: Dim) -> Dim:
    """Return a number in the guise of a symbol as the number."""
    if isinstance(dim, int) or dim.value is None:
        return dim
    is_number = dim.value.removeprefix("-").isdecimal()
    return int(dim.value) if is_number else dim


def _check_length(length: int) -> None:
    if abs(length) >= _TOO_LONG:
        raise InvalidModelError(
            "A value would have more elements than any memory holds.",
            found=f"a dimension of 2**{length.bit_length() - 1} or more",
        )


def _is_huge(element: Dim) -> bool:
    """Say whether an expression is so large that it would become a burden.

    Each product of two can double its length, or the exponent of a symbol.
    """
    if isinstance(element, int) or element.value is None:
        return False
    return len(element.value) > _MOST_CHARACTERS or _HIGH_POWER.search(element.value) is not None


def _can_hold(value: ir.Value, elements: list[Dim]) -> bool:
    """Say whether a value is a small vector or scalar that can have these elements."""
    shape, dtype = value.shape, value.dtype
    if shape is None or dtype is None or len(shape) > 1 or len(elements) > _MOST_ELEMENTS:
        return False
    if any(length != len(elements) for length in shape) or (not len(shape) and len(elements) != 1):
        return False
    numbers = [e for e in elements if isinstance(e, int)]
    if dtype == ir.DataType.BOOL:
        return all(number in (0, 1) for number in numbers)
    if not dtype.is_integer() or dtype.bitwidth < 8:
        return False
    limits = np.iinfo(dtype.numpy())
    return all(limits.min <= number <= limits.max for number in numbers)


def _believe_initializers(graph: ir.Graph) -> None:
    for value in graph.initializers.values():
        held = value.const_value
        if held is not None and not value.is_graph_input() and value.shape != held.shape:
            value.shape = ir.Shape(held.shape.numpy())


@contextlib.contextmanager
def _constants_shown(node: ir.Node, known: Mapping[ir.Value, list[Dim]]) -> Iterator[None]:
    """Let the library, which reads `const_value` of operands, see what is constant and only that.

    A default value of a model input is hidden: callers may override it. A computed tensor whose
    elements are all known is shown.
    """
    before = [(value, value.const_value) for value in dict.fromkeys(node.inputs) if value]
    for value, held in before:
        if held is not None and value.is_graph_input():
            value.const_value = None
        elif held is None and value in known and value.producer() is not None:
            elements = known[value]
            if (
                all(isinstance(e, int) for e in elements)
                and value.dtype
                and value.shape is not None
            ):
                array = np.array(elements, value.dtype.numpy()).reshape(value.shape.numpy())
                value.const_value = ir.tensor(array)
    try:
        yield
    finally:
        for value, held in before:
            value.const_value = held


def _bind_attributes(body: ir.Function, call: ir.Node) -> None:
    """Put the attributes of a call in the place of the references to them."""
    for node in body.all_nodes():
        for name, attr in list(node.attributes.items()):
            if not attr.is_ref():
                continue
            formal = str(attr.ref_attr_name)
            given = call.attributes.get(formal) or body.attributes.get(formal)
            if given is None or given.is_ref() or given.value is None:
                del node.attributes[name]
            else:
                node.attributes[name] = ir.Attr(name, given.type, given.value)


def root_message(error: BaseException) -> str:
    """Return the messages of an error and its causes."""
    messages = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        messages.append(str(error))
    return ": ".join(dict.fromkeys(m for m in messages if m))


def _is_maximum_with_0(text: str) -> bool:
    """Say whether an expression is Max(0, ...) and nothing else; numbers are written first."""
    if not text.startswith("Max(0, "):
        return False
    depths = itertools.accumulate((c == "(") - (c == ")") for c in text[3:])
    return 0 not in list(depths)[:-1] and text.endswith(")")

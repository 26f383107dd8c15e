"""Dtypes and symbolic shapes of values, by onnx-shape-inference, for whole models and new nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import onnx_ir as ir
from onnx_shape_inference import (
    SYM_DATA_KEY,
    OpUsageError,
    ShapeInferenceContext,
    ShapeInferenceError,
    infer_symbolic_shapes,
    registry,
)

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.control_flow import register, widen_loops
from sardonyx.compiler.ir.provenance import site

Dim = int | ir.SymbolicDim

register()


class Types:
    """The type facts of one model: infers new nodes, and knows the elements of shape tensors.

    One object lives as long as a model is being compiled, so that symbols it mints for unknown
    dimensions are never reused for another one.
    """

    def __init__(self, model: ir.Model) -> None:
        self._opsets = model.opset_imports
        self._context = ShapeInferenceContext(model.opset_imports, policy="refine")
        self._context.reserve_symbol_names(_symbol_names(model))
        _adopt_elements(model, self._context)

    @classmethod
    def inferred(cls, model: ir.Model) -> Types:
        """Infer the types of all values of a model in place, and return the facts.

        What a file declares of intermediate shapes is not believed; what it declares of the
        outputs is kept where inference finds less.

        Raises:
            InvalidModelError: An operator is used with operands that its definition forbids.
        """
        declared = [(value, value.shape) for value in model.graph.outputs]
        try:
            _forget_shapes(model)
            infer_symbolic_shapes(model, warn_on_missing=False)
            while widen_loops(model):
                _forget_shapes(model)
                infer_symbolic_shapes(model, warn_on_missing=False)
            settled = [_settle_numbers(value) for value in all_values(model)]
            if any(settled):
                infer_symbolic_shapes(model, warn_on_missing=False)
        except (OpUsageError, ShapeInferenceError) as error:
            raise InvalidModelError(
                "The model's types do not fit together.", found=_root_message(error)
            ) from error
        for value, shape in declared:
            _restore_names(value, shape)
        return cls(model)

    def infer(self, node: ir.Node) -> None:
        """Infer the output types of one new node from its operands.

        Raises:
            InvalidModelError: The operands do not fit the operator.
        """
        version = self._opsets.get(node.domain or "", 1)
        infer = registry.get(node.domain or "", node.op_type, version)
        if infer is None:
            return
        for value in node.inputs:
            if value is not None:
                self._context.name_anonymous_dims(value)
        try:
            infer(self._context, node)
        except Exception as error:
            raise InvalidModelError(
                f"{node.op_type} does not accept these operands.",
                where=site(node),
                found=f"{_root_message(error)}; operands {', '.join(map(describe, node.inputs))}",
            ) from error
        for value in node.outputs:
            _settle_numbers(value)
            _drop_notes(value)

    def elements(self, value: ir.Value) -> Sequence[Dim] | None:
        """Return the elements of a small integer tensor as numbers and symbols, or None."""
        known: Sequence[Dim] | None = self._context.get_symbolic_value(value)
        return None if known is None else [_settled(e) for e in known]

    def new_symbol(self) -> ir.SymbolicDim:
        """Return a symbolic dimension that no other value has."""
        symbol: ir.SymbolicDim = self._context.new_symbolic_dim()
        return symbol


def describe(value: ir.Value | None) -> str:
    """Return `name: dtype[dims]` for messages."""
    if value is None:
        return "none"
    dtype = value.dtype.name.lower() if value.dtype is not None else "?"
    shape = "[" + ", ".join(map(str, value.shape)) + "]" if value.shape is not None else "[...]"
    return f"{value.name or 'value'}: {dtype}{shape}"


def all_values(model: ir.Model) -> Iterator[ir.Value]:
    """Yield every value of the main graph and its subgraphs."""
    for graph in (model.graph, *model.graph.subgraphs()):
        yield from graph.inputs
        yield from graph.initializers.values()
        for node in graph:
            yield from node.outputs


def _settle_numbers(value: ir.Value) -> bool:
    """Turn dimensions that are numbers in the guise of symbols into numbers."""
    if value.shape is None or value.is_graph_input():
        return False
    dims = [_settled(d) for d in value.shape]
    is_changed = any(type(a) is not type(b) for a, b in zip(dims, value.shape, strict=True))
    if is_changed:
        value.shape = ir.Shape(dims)
    return is_changed


def _settled(dim: Dim) -> Dim:
    is_number = not isinstance(dim, int) and dim.value is not None and dim.value.isdigit()
    return int(str(dim.value)) if is_number and isinstance(dim, ir.SymbolicDim) else dim


def _forget_shapes(model: ir.Model) -> None:
    for graph in (model.graph, *model.graph.subgraphs()):
        for node in graph:
            for value in node.outputs:
                value.shape = None
                _drop_notes(value)


def _restore_names(value: ir.Value, declared: ir.Shape | None) -> None:
    """Let an output that nobody in the graph reads keep the dimensions that the file declares."""
    if declared is None or value.uses() or value.producer() is None:
        return
    if value.shape is None:
        value.shape = declared
    elif len(declared) == len(value.shape):
        dims = zip(value.shape, declared, strict=True)
        value.shape = ir.Shape([a if isinstance(a, int) or b is None else b for a, b in dims])


def _symbol_names(model: ir.Model) -> set[str]:
    names: set[str] = set()
    for value in all_values(model):
        for dim in value.shape or ():
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                names.update(dim.free_symbols())
    return names


def _adopt_elements(model: ir.Model, context: ShapeInferenceContext) -> None:
    for value in all_values(model):
        text = value.metadata_props.get(SYM_DATA_KEY)
        if text is None:
            continue
        elements = [x if isinstance(x, int) else ir.SymbolicDim(x) for x in json.loads(text)]
        context.set_symbolic_value(value, elements)
        _drop_notes(value)


def _drop_notes(value: ir.Value) -> None:
    """Keep facts out of the serialised model, and constants in one place only."""
    value.metadata_props.pop(SYM_DATA_KEY, None)
    producer = value.producer()
    if producer is not None and producer.op_type != "Constant":
        value.const_value = None


def _root_message(error: BaseException) -> str:
    messages = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        messages.append(str(error))
    return ": ".join(dict.fromkeys(m for m in messages if m))

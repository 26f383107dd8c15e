"""Dtypes and symbolic shapes of values, by onnx-shape-inference, for whole models and new nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import onnx_ir as ir

from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.inference import Dim, Inference, root_message
from sardonyx.compiler.ir.provenance import site


class Types:
    """The type facts of one model: infers new nodes, and knows the elements of shape tensors.

    Symbols that it mints for unknown dimensions are new to the model.
    """

    def __init__(self, model: ir.Model) -> None:
        names = _symbol_names(value.shape for value in all_values(model))
        self._facts = Inference(model.opset_imports, model.functions, names)

    @classmethod
    def inferred(cls, model: ir.Model, *, keeps_declared: bool = True) -> Types:
        """Infer the types of all values of a model in place, and return the facts.

        What a file declares of intermediate shapes is not believed; what it declares of the
        outputs is kept where inference finds less. Names of dimensions that cannot be calculated
        with, such as "batch size", are spelled anew.

        Args:
            model: The model; its shapes are set.
            keeps_declared: Keep what is declared of the outputs. It may be wrong.

        Raises:
            InvalidModelError: An operator is used with operands that its definition forbids.
        """
        declared = [(value, value.shape) for value in model.graph.outputs]
        _forget_shapes(model)
        _spell_anew(model.graph.inputs)
        types = cls(model)
        types._facts.reserve(_symbol_names(shape for _, shape in declared))
        types._facts.infer_graph(model.graph)
        for value, shape in declared if keeps_declared else ():
            keep_declared(value, shape)
        return types

    def infer(self, node: ir.Node) -> None:
        """Infer the output types of one new node from its operands.

        Raises:
            InvalidModelError: The operands do not fit the operator.
        """
        try:
            self._facts.infer_node(node)
        except Exception as error:
            raise InvalidModelError(
                f"{node.op_type} does not accept these operands.",
                where=site(node),
                found=f"{root_message(error)}; operands {', '.join(map(describe, node.inputs))}",
            ) from error

    def elements(self, value: ir.Value) -> Sequence[Dim] | None:
        """Return the elements of a small integer tensor as numbers and symbols, or None."""
        known: Sequence[Dim] | None = self._facts.get_symbolic_value(value)
        return known

    def new_symbol(self) -> ir.SymbolicDim:
        """Return a symbolic dimension that no other value has."""
        return self._facts.new_symbolic_dim()


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


def _forget_shapes(model: ir.Model) -> None:
    for graph in (model.graph, *model.graph.subgraphs()):
        for node in graph:
            for value in node.outputs:
                value.shape = None


def _spell_anew(values: Iterable[ir.Value]) -> None:
    """Give dimensions whose names are no expressions names that are.

    A name that has no letter or digit, such as "?", says that nothing is known.
    """
    shapes = [(value, value.shape) for value in values if value.shape is not None]
    spelled: dict[str, str] = {}
    taken = {str(dim) for _, shape in shapes for dim in shape}
    for value, shape in shapes:
        dims = [d if isinstance(d, int) else _spelled(d, spelled, taken) for d in shape]
        if any(a is not b for a, b in zip(dims, shape, strict=True)):
            value.shape = ir.Shape(dims)


def _spelled(dim: ir.SymbolicDim, spelled: dict[str, str], taken: set[str]) -> ir.SymbolicDim:
    name = dim.value
    if name is None or _can_be_calculated_with(dim):
        return dim
    if not re.search(r"\w", name):
        return ir.SymbolicDim(None)
    if name not in spelled:
        made = "_".join(re.findall(r"\w+", name))
        made = made if not made[0].isdecimal() else f"dim_{made}"
        while made in taken:
            made += "_"
        taken.add(made)
        spelled[name] = made
    return ir.SymbolicDim(spelled[name])


def _can_be_calculated_with(dim: ir.SymbolicDim) -> bool:
    try:
        return bool(dim.free_symbols())
    except Exception:  # The library's parser raises several kinds.
        return False


def keep_declared(value: ir.Value, declared: ir.Shape | None) -> None:
    """Let an output that nobody in the graph reads keep the dimensions that the file declares."""
    if declared is None or value.type is None or value.uses() or value.producer() is None:
        return
    if value.shape is None:
        value.shape = declared
    elif len(declared) == len(value.shape):
        dims = zip(value.shape, declared, strict=True)
        value.shape = ir.Shape([found if _says_less(b, found) else b for found, b in dims])


def _says_less(declared: Dim, found: Dim) -> bool:
    is_unknown = isinstance(declared, ir.SymbolicDim) and declared.value is None
    return isinstance(found, int) or is_unknown


def _symbol_names(shapes: Iterable[ir.Shape | None]) -> set[str]:
    dims = {dim for shape in shapes for dim in shape or () if isinstance(dim, ir.SymbolicDim)}
    return {name for dim in dims if dim.value is not None for name in _symbols(dim)}


def _symbols(dim: ir.SymbolicDim) -> Iterable[str]:
    return dim.free_symbols() if _can_be_calculated_with(dim) else [str(dim.value)]

"""Models next to a model: each differs from it in one place, and has a name that says how.

A variation need not be a valid model, nor one that computes something else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.types import Types
from tests.support.models import clone

LOCAL = "tests.local"
Change = Callable[[ir.Model], None]
_Named = Iterator[tuple[str, Change]]
_FLAGS = {"allowzero", "ceil_mode", "interleaved", "is_causal", "keepdims", "transA", "transB"}
"""Attributes that are 0 or 1."""
_SIBLINGS = {
    "Add": "Sub",
    "Sub": "Add",
    "Mul": "Div",
    "Div": "Mul",
    "Max": "Min",
    "Min": "Max",
    "Sqrt": "Exp",
    "Exp": "Sqrt",
    "ReduceMean": "ReduceSum",
    "ReduceSum": "ReduceMean",
    "ReduceMax": "ReduceMin",
    "Sigmoid": "Tanh",
    "Tanh": "Sigmoid",
    "Erf": "Tanh",
    "Relu": "Abs",
    "Reciprocal": "Neg",
    "Neg": "Reciprocal",
    "Softmax": "LogSoftmax",
    "Identity": "Neg",
    "And": "Or",
    "Or": "And",
    "Less": "Greater",
    "Greater": "Less",
    "GreaterOrEqual": "Greater",
    "LessOrEqual": "Less",
    "Cos": "Sin",
    "Sin": "Cos",
    "MaxPool": "AveragePool",
}
"""Another operator that takes the same operands."""
_OTHER_FLOATS = (ir.DataType.DOUBLE, ir.DataType.FLOAT16)


@dataclass(frozen=True)
class Variation:
    """A model that differs from another one in one place.

    Attributes:
        what: What is different; no other variation of the model says the same.
        base: The model.
        change: Makes a copy of the base the variation.
    """

    what: str
    base: ir.Model
    change: Change

    def model(self) -> ir.Model:
        """The variation."""
        near = clone(self.base)
        with np.errstate(all="ignore"):
            self.change(near)
        return near


def variations(model: ir.Model) -> list[Variation]:
    """All variations of a model; fewer of one with operators that are not ONNX's own."""
    typed = clone(model)
    Types.inferred(typed)
    named = [(typed, *each) for each in (*_domains(typed), *_unknown_values(typed))]
    named += [(model, *each) for each in (*_outputs(model), *_axes(typed))]
    if not any(node.domain for node in model.graph):
        kinds = (_attributes, _constants, _operands, _operators, _dtypes, _dims)
        named += [(model, *each) for kind in kinds for each in kind(model)]
    found = {}
    for base, what, change in named:
        name, count = what, 1
        while name in found:
            count += 1
            name = f"{what} ({count})"
        found[name] = Variation(name, base, change)
    return list(found.values())


def _label(node: ir.Node) -> str:
    """What a node is called in a variation's name."""
    return f"{node.outputs[0].name} = {node.op_type}"


def _domains(model: ir.Model) -> _Named:
    """An operator is one of the same name in another domain, with another result."""

    def change(index: int, near: ir.Model) -> None:
        node = near.graph[index]
        given = [ir.Value(name=f"x{i}") for i in range(len(node.inputs))]
        attributes = list(node.attributes.values())
        inner = ir.Node("", node.op_type, given, attributes, num_outputs=len(node.outputs))
        last = [ir.Node("", _other_result(v), [w]) for v, w in _pairs(node, inner)]
        for at, each in enumerate((inner, *last)):
            for value in each.outputs:
                value.name = f"y{at}_{value.index()}"
        results = [each.outputs[0] for each in last]
        body = ir.Graph(given, results, nodes=[inner, *last], opset_imports={"": 23})
        other = ir.Function(LOCAL, node.op_type, graph=body, attributes=attributes)
        near.functions[other.identifier()] = other
        near.opset_imports[LOCAL] = 1
        node.domain = LOCAL

    for index, node in enumerate(model.graph):
        is_simple = node.op_type != "Constant" and not node.domain and None not in node.inputs
        if is_simple and not any(
            a.type == ir.AttributeType.GRAPH for a in node.attributes.values()
        ):
            yield f"{_label(node)} is of another domain", functools.partial(change, index)


def _pairs(node: ir.Node, inner: ir.Node) -> Iterator[tuple[ir.Value, ir.Value]]:
    return zip(node.outputs, inner.outputs, strict=True)


def _other_result(value: ir.Value) -> str:
    if value.dtype == ir.DataType.BOOL:
        return "Not"
    is_float = value.dtype is not None and value.dtype.is_floating_point()
    return "Neg" if is_float else "Identity"


def _named_values(model: ir.Model) -> Iterator[ir.Value]:
    """What is fed and what is computed in between."""
    yield from (value for value in model.graph.inputs if not value.is_initializer())
    yield from (v for node in model.graph for v in node.outputs if not v.is_graph_output())


def _unknown_values(typed: ir.Model) -> _Named:
    """Of a value the dtype, the rank or an axis is not known; of a constant not what it holds."""
    for value in _named_values(typed):
        name, rank = str(value.name), 0 if value.shape is None else len(value.shape)
        yield f"of {name} nothing is known", functools.partial(_make_opaque, name)
        yield f"the rank of {name} is not known", functools.partial(_hide, name, None)
        if value.shape is None:
            continue
        if rank > 1:
            what = f"of {name} only the rank is known"
            yield what, functools.partial(_hide, name, [None] * rank)
        for axis, dim in enumerate(value.shape):
            if isinstance(dim, int):
                dims = [None if at == axis else d for at, d in enumerate(value.shape)]
                what = f"axis {axis} of {name} is not known"
                yield what, functools.partial(_hide, name, dims)
    for name, value in typed.graph.initializers.items():
        assert value.shape is not None
        yield f"{name} is no constant", functools.partial(_hide, name, list(value.shape))


def _hide(name: str, dims: list[int | ir.SymbolicDim | None] | None, model: ir.Model) -> None:
    """Let a value be fed, with a type that says less; `hidden` has its name then."""
    value = _find(model, name)
    shape = None if dims is None else ir.Shape(dims)
    if value.is_graph_input() and not value.is_initializer():
        value.shape = shape
        return
    fed = ir.Value(name=hidden(name), type=value.type, shape=shape)
    _read_instead(value, fed)
    model.graph.inputs.append(fed)
    model.graph.initializers.pop(name, None)


def hidden(name: str) -> str:
    """The name of the input that is read instead of a value."""
    return f"{name}_hidden"


def _read_instead(value: ir.Value, other: ir.Value) -> None:
    for reader, index in list(value.uses()):
        if reader is not other.producer():
            reader.replace_input_with(index, other)


def _make_opaque(name: str, model: ir.Model) -> None:
    """Let what reads a value read it through an operator that nobody knows."""
    value = _find(model, name)
    node = ir.Node(LOCAL, "Opaque", [value])
    node.outputs[0].name = hidden(name)
    _read_instead(value, node.outputs[0])
    producer = value.producer()
    if producer is None:
        model.graph.insert_before(model.graph[0], node)
    else:
        model.graph.insert_after(producer, node)
    model.opset_imports[LOCAL] = 1


def define_opaque(model: ir.Model) -> None:
    """Tell what the operator that nobody knows computes, so that a runtime can."""
    if any(node.op_type == "Opaque" for node in model.graph):
        x, y = ir.Value(name="x"), ir.Value(name="y")
        inside = [ir.Node("", "Identity", [x], outputs=[y])]
        body = ir.Graph([x], [y], nodes=inside, opset_imports={"": 23})
        same = ir.Function(LOCAL, "Opaque", graph=body, attributes=[])
        model.functions[same.identifier()] = same


def _find(model: ir.Model, name: str) -> ir.Value:
    made = [value for node in model.graph for value in node.outputs]
    held = [*model.graph.inputs, *model.graph.initializers.values(), *made]
    return next(v for v in held if v.name == name)


def _outputs(model: ir.Model) -> _Named:
    """A value in between is an output of the graph too."""

    def change(name: str, near: ir.Model) -> None:
        Types.inferred(near)
        near.graph.outputs.append(_find(near, name))

    for node in model.graph:
        for value in node.outputs:
            if value.name and not value.is_graph_output() and node.op_type != "Constant":
                yield f"{value.name} is an output", functools.partial(change, value.name)


def _axes(typed: ir.Model) -> _Named:
    """An axis is counted from the end."""

    def change(index: int, name: str, axis: int, near: ir.Model) -> None:
        near.graph[index].attributes[name] = ir.AttrInt64(name, axis)

    for index, node in enumerate(typed.graph):
        for name, attribute in node.attributes.items():
            shape = node.inputs[0].shape if node.inputs and node.inputs[0] is not None else None
            if name == "axis" and shape is not None and attribute.type == ir.AttributeType.INT:
                axis = attribute.value
                other = axis - len(shape) if axis >= 0 else axis + len(shape)
                what = f"{_label(node)} has the same axis as {other}"
                yield what, functools.partial(change, index, name, other)


def _attributes(model: ir.Model) -> _Named:
    """A number of an attribute is another one, or the attribute is left out."""

    def change(index: int, name: str, other: ir.Attr | None, near: ir.Model) -> None:
        attributes = near.graph[index].attributes
        if other is None:
            del attributes[name]
        else:
            attributes[name] = other

    for index, node in enumerate(model.graph):
        for name, attribute in node.attributes.items():
            if node.op_type == "Constant" or attribute.type == ir.AttributeType.GRAPH:
                continue
            changed = [] if name == "num_outputs" else list(_other_attributes(attribute))
            for other in changed:
                what = f"{_label(node)} has {name} = {other.value}"
                yield what, functools.partial(change, index, name, other)
            yield f"{_label(node)} has no {name}", functools.partial(change, index, name, None)


def _other_attributes(attribute: ir.Attr) -> Iterator[ir.Attr]:
    name, value = attribute.name, attribute.value
    if name in _FLAGS:
        yield ir.AttrInt64(name, 1 - value)
    elif attribute.type == ir.AttributeType.INT:
        yield from (ir.AttrInt64(name, value + step) for step in (1, -1))
    elif attribute.type == ir.AttributeType.FLOAT:
        yield ir.AttrFloat32(name, value * 1.5)
        yield ir.AttrFloat32(name, value * 1.0001)
        yield ir.AttrFloat32(name, -value)
    elif attribute.type == ir.AttributeType.INTS:
        if len(value) > 1:
            yield ir.AttrInt64s(name, [*value[1:], value[0]])
            yield ir.AttrInt64s(name, value[::-1])
        for at in sorted({0, len(value) - 1}):
            yield ir.AttrInt64s(name, [v + (i == at) for i, v in enumerate(value)])


def _constants(model: ir.Model) -> _Named:
    """A constant has another number, is turned around, or has an axis more or less."""

    def change(name: str, other: np.ndarray, near: ir.Model) -> None:
        value = near.graph.initializers[name]
        value.const_value = ir.tensor(other, name=name)
        value.shape = ir.Shape(other.shape)

    for name, value in model.graph.initializers.items():
        assert value.const_value is not None
        with np.errstate(all="ignore"):
            others = list(_other_arrays(value.const_value.numpy()))
        for what, other in others:
            yield f"{name} {what}", functools.partial(change, name, other)


def _other_arrays(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if array.size and array.dtype.kind in "fiu":
        for step, how in ((1, "more"), (-1, "less")):
            for index in sorted({0, array.size - 1}):
                other = array.copy()
                other.flat[index] += np.asarray(step).astype(array.dtype)
                yield f"has one {how} at {index}", other
        yield "is 0", np.zeros_like(array)
        yield "is its negative", -array
        if array.dtype.kind == "f":
            yield "is larger by a thousandth", (array * 1.001).astype(array.dtype)
    if array.size > 1:
        yield "has its first number everywhere", np.full_like(array, array.flat[0])
        yield "is a scalar", np.array(array.flat[0])
    if array.ndim == 1 and array.size > 1:
        yield "is turned around", np.ascontiguousarray(array[::-1])
    if array.ndim == 1 and array.size:
        yield "ends one earlier", array[:-1]
        yield "has a number more", np.append(array, array[-1:])
    if array.ndim > 1:
        yield "has its last two axes swapped", np.ascontiguousarray(array.swapaxes(-1, -2))
    if array.ndim < 5:
        yield "has an axis more", array[None]
        yield "has an axis more at the end", array[..., None]
    if array.ndim and array.shape[0] == 1:
        yield "has an axis less", array[0]


def _operands(model: ir.Model) -> _Named:
    """Operands are in another order, one is read twice, or the last one is left out."""

    def change(index: int, order: list[int | None], near: ir.Model) -> None:
        node = near.graph[index]
        read = [None if at is None else node.inputs[at] for at in order]
        node.resize_inputs(len(read))
        for at, value in enumerate(read):
            node.replace_input_with(at, value)

    for index, node in enumerate(model.graph):
        count = len(node.inputs)
        every = list(range(count))
        for at in range(count - 1):
            if node.inputs[at] is node.inputs[at + 1]:
                continue
            pair = f"operands {at} and {at + 1}" if count > 2 else "operands"
            turned = [*every[:at], at + 1, at, *every[at + 2 :]]
            yield f"{_label(node)} has its {pair} turned", functools.partial(change, index, turned)
            twice = [at if other == at + 1 else other for other in every]
            yield (
                f"{_label(node)} reads operand {at} twice",
                functools.partial(change, index, twice),
            )
        if count > 2:
            yield (
                f"{_label(node)} has no last operand",
                functools.partial(change, index, every[:-1]),
            )


def _operators(model: ir.Model) -> _Named:
    """An operator is another one that takes the same operands."""

    def change(index: int, name: str, near: ir.Model) -> None:
        near.graph[index].op_type = name

    for index, node in enumerate(model.graph):
        if node.op_type in _SIBLINGS:
            other = _SIBLINGS[node.op_type]
            yield f"{_label(node)} is {other}", functools.partial(change, index, other)


def _dtypes(model: ir.Model) -> _Named:
    """All that is float32 is of another dtype."""

    def change(dtype: ir.DataType, near: ir.Model) -> None:
        for value in (*near.graph.inputs, *near.graph.outputs):
            if value.dtype == ir.DataType.FLOAT:
                value.dtype = dtype
        for name, value in near.graph.initializers.items():
            assert value.const_value is not None
            if value.const_value.dtype == ir.DataType.FLOAT:
                other = value.const_value.numpy().astype(dtype.numpy())
                value.const_value = ir.tensor(other, name=name)
                value.dtype = dtype
        for node in near.graph:
            if "to" in node.attributes and node.attributes["to"].value == ir.DataType.FLOAT:
                node.attributes["to"] = ir.AttrInt64("to", int(dtype))

    if not any(node.op_type == "Constant" for node in model.graph):
        for dtype in _OTHER_FLOATS:
            yield f"float32 is {dtype.name.lower()}", functools.partial(change, dtype)


def _dims(model: ir.Model) -> _Named:
    """An axis of an input has the length 1."""

    def change(name: str, axis: int, near: ir.Model) -> None:
        value = _find(near, name)
        assert value.shape is not None
        value.shape = ir.Shape([1 if at == axis else dim for at, dim in enumerate(value.shape)])
        for output in near.graph.outputs:
            output.shape = None

    for value in model.graph.inputs:
        if not value.is_initializer():
            for axis, dim in enumerate(value.shape or ()):
                if dim != 1:
                    what = f"axis {axis} of {value.name} is 1"
                    yield what, functools.partial(change, str(value.name), axis)

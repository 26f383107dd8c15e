"""Models next to one that a rule applies to: each differs in one place, and may be another one.

A rule may apply to a neighbour or not. If it does, the neighbour computes the same afterwards; in
any case it raises nothing.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from sardonyx.compiler import testing
from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.types import Types
from tests.support.models import clone
from tests.support.run import run_ort, run_reference

Dims = Mapping[str, int]
Change = Callable[[ir.Model], None]
LOCAL = "tests.local"
_WANTED = os.environ.get("SARDONYX_NEIGHBOURS", "8")
IS_THOROUGH = _WANTED == "all"
"""Whether all neighbours are looked at, and those of every model that a rule applies to."""
_MOST = 1000 if IS_THOROUGH else int(_WANTED)
"""About how many neighbours are looked at; of more, every second or third is."""
_FLAGS = {"allowzero", "ceil_mode", "interleaved", "is_causal", "keepdims", "transA", "transB"}
"""Attributes that are 0 or 1."""


def check_neighbours(
    subject: testing.Subject, model: ir.Model, *, atol: float, rtol: float, dims: Dims
) -> None:
    """Demand right results for neighbours of a model; others for a model of another text.

    Raises:
        AssertionError: A neighbour computes something else afterwards.
    """
    typed = clone(model)
    Types.inferred(typed)
    found = [(typed, *change) for change in (*_domains(typed), *_unknown_values(typed))]
    if not any(node.domain for node in model.graph):
        changes = (*_attributes(model), *_constants(model), *_operands(model))
        found += [(model, *change) for change in changes]
    step = 1 + len(found) // _MOST
    for base, what, change in found[zlib.crc32(ir.to_onnx_text(model).encode()) % step :: step]:
        near = clone(base)
        change(near)
        _check_neighbour(subject, near, what, atol, rtol, dims)


def _check_neighbour(
    subject: testing.Subject, model: ir.Model, what: str, atol: float, rtol: float, dims: Dims
) -> None:
    after = clone(model)
    try:
        report = testing.apply(subject, after)
    except InvalidModelError:
        return
    except Exception as error:
        if _results(model, dims) is not None:
            raise AssertionError(f"{what}: {error}") from error
        return
    if not any(report.applied.values()):
        return
    wanted = _results(model, dims)
    if wanted is None:
        return
    found = run_ort(after, testing.random_feeds(model, dims))
    for value, one, other in zip(model.graph.outputs, wanted, found, strict=True):
        assert one.dtype == other.dtype, f"{what}: {one.dtype} became {other.dtype}"
        text = f"{what}: {value.name}"
        np.testing.assert_allclose(other, one, atol=atol, rtol=rtol, err_msg=text)


def _results(model: ir.Model, dims: Dims) -> list[np.ndarray] | None:
    """What a model computes; None if it is no model, or no test of numbers."""
    try:
        feeds = testing.random_feeds(model, dims)
        if all(node.domain in {"", LOCAL} for node in model.graph):
            run_reference(model, feeds)  # What it refuses may end ONNX Runtime's process.
        found = run_ort(model, feeds)
    except Exception:
        return None
    is_as_declared = all(map(_is_as_declared, model.graph.outputs, found))
    is_finite = all(np.all(np.isfinite(array)) for array in found)
    return found if is_as_declared and is_finite else None


def _is_as_declared(value: ir.Value, array: np.ndarray) -> bool:
    """Whether a result has the lengths that are numbers in the model: no runtime looks at them."""
    dims = array.shape if value.shape is None else list(value.shape)
    return len(dims) == array.ndim and all(
        not isinstance(dim, int) or dim == length
        for dim, length in zip(dims, array.shape, strict=True)
    )


def _domains(model: ir.Model) -> Iterator[tuple[str, Change]]:
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
            yield f"{node.op_type} is of another domain", functools.partial(change, index)


def _pairs(node: ir.Node, inner: ir.Node) -> Iterator[tuple[ir.Value, ir.Value]]:
    return zip(node.outputs, inner.outputs, strict=True)


def _other_result(value: ir.Value) -> str:
    if value.dtype == ir.DataType.BOOL:
        return "Not"
    is_float = value.dtype is not None and value.dtype.is_floating_point()
    return "Neg" if is_float else "Identity"


def _unknown_values(model: ir.Model) -> Iterator[tuple[str, Change]]:
    """Of a value nothing but the dtype, or the rank, is known; of a constant not what it holds."""
    names = [v.name for v in model.graph.inputs if not v.is_initializer()]
    names += [v.name for node in model.graph for v in node.outputs if not v.is_graph_output()]
    for name in names:
        for known in ("dtype", "rank", "nothing"):
            yield f"of {name} only {known} is known", functools.partial(_hide, str(name), known)
    for name in model.graph.initializers:
        yield f"{name} is no constant", functools.partial(_hide, name, "shape")


def _hide(name: str, known: str, model: ir.Model) -> None:
    """Let what reads a value read it through a function that nobody has looked into."""
    made = [value for node in model.graph for value in node.outputs]
    held = [*model.graph.inputs, *model.graph.initializers.values(), *made]
    value = next(v for v in held if v.name == name)
    node = ir.Node(LOCAL, "Same", [value])
    (hidden,) = node.outputs
    hidden.name = f"{name}_hidden"
    hidden.type = None if known == "nothing" else value.type
    if known == "shape":
        hidden.shape = value.shape
    elif known == "rank" and value.shape is not None:
        hidden.shape = ir.Shape([None] * len(value.shape))
    for reader, index in [use for use in value.uses() if use.node is not node]:
        reader.replace_input_with(index, hidden)
    producer = value.producer()
    if producer is None:
        model.graph.insert_before(model.graph[0], node)
    else:
        model.graph.insert_after(producer, node)
    x, y = ir.Value(name="x"), ir.Value(name="y")
    inside = [ir.Node("", "Identity", [x], outputs=[y])]
    body = ir.Graph([x], [y], nodes=inside, opset_imports={"": 23})
    same = ir.Function(LOCAL, "Same", graph=body, attributes=[])
    model.functions[same.identifier()] = same
    model.opset_imports[LOCAL] = 1


def _attributes(model: ir.Model) -> Iterator[tuple[str, Change]]:
    """A number of an attribute is another one."""

    def change(index: int, other: ir.Attr, near: ir.Model) -> None:
        near.graph[index].attributes[other.name] = other

    for index, node in enumerate(model.graph):
        for name, attribute in node.attributes.items():
            if node.op_type == "Constant" or name == "num_outputs":
                continue
            for other in _other_attributes(attribute):
                what = f"{node.op_type}.{name} is {other.value}"
                yield what, functools.partial(change, index, other)


def _other_attributes(attribute: ir.Attr) -> Iterator[ir.Attr]:
    name, value = attribute.name, attribute.value
    if name in _FLAGS:
        yield ir.AttrInt64(name, 1 - value)
    elif attribute.type == ir.AttributeType.INT:
        yield from (ir.AttrInt64(name, value + step) for step in (1, -1))
    elif attribute.type == ir.AttributeType.FLOAT:
        yield ir.AttrFloat32(name, value * 1.5)
    elif attribute.type == ir.AttributeType.INTS and len(value) > 1:
        yield ir.AttrInt64s(name, [*value[1:], value[0]])
        yield ir.AttrInt64s(name, value[::-1])


def _constants(model: ir.Model) -> Iterator[tuple[str, Change]]:
    """A constant has another number, is turned around, or has an axis more or less."""

    def change(name: str, other: np.ndarray, near: ir.Model) -> None:
        value = near.graph.initializers[name]
        value.const_value = ir.tensor(other, name=name)
        value.shape = ir.Shape(other.shape)

    for name, value in model.graph.initializers.items():
        assert value.const_value is not None
        for what, other in _other_arrays(value.const_value.numpy()):
            yield f"{name} {what}", functools.partial(change, name, other)


def _other_arrays(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if array.size and array.dtype.kind in "fiu":
        for index in sorted({0, array.size - 1}):
            other = array.copy()
            other.flat[index] += 1
            yield f"has one more at {index}", other
    if array.ndim == 1 and array.size > 1:
        yield "is turned around", np.ascontiguousarray(array[::-1])
    if array.ndim < 5:
        yield "has an axis more", array[None]
    if array.ndim and array.shape[0] == 1:
        yield "has an axis less", array[0]


def _operands(model: ir.Model) -> Iterator[tuple[str, Change]]:
    """The first two operands of a node are in the other order."""

    def change(index: int, near: ir.Model) -> None:
        node = near.graph[index]
        first, second = node.inputs[:2]
        node.replace_input_with(0, second)
        node.replace_input_with(1, first)

    for index, node in enumerate(model.graph):
        if len(node.inputs) > 1 and node.inputs[0] is not node.inputs[1]:
            yield f"{node.op_type} has its operands turned", functools.partial(change, index)

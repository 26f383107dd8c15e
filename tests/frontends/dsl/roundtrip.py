"""Writes a model as a program of the language, runs it, and compares what it builds."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.calls import inline_calls
from sardonyx.compiler.ir.constants import tensor as constant_of
from sardonyx.compiler.ir.types import Types
from sardonyx.frontends import dsl
from sardonyx.frontends.dsl.source import separate_outputs


def rebuilt(model: ir.Model) -> dsl.Model:
    """The model of the program of a model, with its numbers."""
    made = dsl.source(model)
    scope: dict = {}
    exec(compile(made.text, "<program>", "exec"), scope)
    return scope[made.name].load(made.state)


def written_out(model: ir.Model) -> ir.Model:
    """A copy as the language writes it: no functions, each output with a node of its own."""
    copy = model.clone()
    inline_calls(copy)
    separate_outputs(copy.graph)
    Types.inferred(copy, keeps_declared=False)
    return copy


def check_same(wanted: ir.Model, got: ir.Model) -> None:
    """Two models have the same inputs, nodes, attributes, constants, outputs and types."""
    wanted, got = written_out(wanted), got.clone()
    Types.inferred(got, keeps_declared=False)
    pairs: dict[int, ir.Value] = {}
    real = [v for v in wanted.graph.inputs if not v.is_initializer()]
    assert [v.name for v in real] == [v.name for v in got.graph.inputs]
    _check_graph(wanted.graph, got.graph, pairs, real)
    assert [v.name for v in wanted.graph.outputs] == [v.name for v in got.graph.outputs]


def _check_graph(wanted, got, pairs, inputs) -> None:
    for a, b in zip(inputs, got.inputs, strict=True):
        _check_type(a, b)
        pairs[id(a)] = b
    left, right = (list(filter(_is_real, graph)) for graph in (wanted, got))
    assert [(n.domain, n.op_type) for n in left] == [(n.domain, n.op_type) for n in right]
    for a, b in zip(left, right, strict=True):
        _check_node(a, b, pairs)
    assert len(wanted.outputs) == len(got.outputs)
    for a, b in zip(wanted.outputs, got.outputs, strict=True):
        _check_value(a, b, pairs)
        _check_type(a, b)


def _is_real(node) -> bool:
    return node.op_type != "Constant" or constant_of(node.outputs[0]) is None


def _check_node(a, b, pairs) -> None:
    inputs = [list(n.inputs) for n in (a, b)]
    for listed in inputs:
        while listed and listed[-1] is None:
            listed.pop()
    for x, y in zip(*inputs, strict=True):
        _check_value(x, y, pairs)
    assert set(a.attributes) == set(b.attributes), a.op_type
    for name, attribute in a.attributes.items():
        other = b.attributes[name]
        assert attribute.type == other.type
        if attribute.type == ir.AttributeType.GRAPH:
            inner = attribute.as_graph()
            _check_graph(inner, other.as_graph(), pairs, inner.inputs)
        elif attribute.type == ir.AttributeType.TENSOR:
            _check_array(attribute.value, other.value)
        else:
            assert _plain(attribute.value) == _plain(other.value), (a.op_type, name)
    for index, x in enumerate(a.outputs):
        if x.name == "":
            assert index >= len(b.outputs) or not b.outputs[index].uses()
            continue
        pairs[id(x)] = b.outputs[index]
        _check_type(x, b.outputs[index])


def _plain(value):
    items = value if isinstance(value, (list, tuple)) else [value]
    # repr: NaN equals itself, and -0.0 is not 0.0.
    # Floats of attributes are float32 in a file.
    return [
        repr(i.decode() if isinstance(i, bytes) else np.float32(i) if isinstance(i, float) else i)
        for i in items
    ]


def _check_value(a, b, pairs) -> None:
    if a is None or b is None:
        assert a is b
        return
    held = constant_of(a)
    if held is not None and id(a) not in pairs:
        other = constant_of(b)
        assert other is not None, b.name
        _check_array(held, other)
        return
    assert pairs[id(a)] is b, (a.name, b.name)


def _check_array(a, b) -> None:
    assert a.dtype == b.dtype
    x, y = np.asarray(a.numpy()), np.asarray(b.numpy())
    assert x.shape == y.shape
    if x.dtype.kind == "O":
        assert _plain(x.reshape(-1).tolist()) == _plain(y.reshape(-1).tolist())
    else:
        assert x.tobytes() == y.tobytes()


def _check_type(a, b) -> None:
    """The dtype and rank are the same, and so are sizes, where both are known to be numbers."""
    assert a.type == b.type or a.type is None, (a, b)
    if a.shape is None or b.shape is None:
        return
    assert len(a.shape) == len(b.shape), (a, b)
    for x, y in zip(a.shape, b.shape, strict=True):
        assert not (isinstance(x, int) and isinstance(y, int)) or x == y, (a, b)

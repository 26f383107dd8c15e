"""Every operator of the ONNX schemas is reachable by name, and makes the node it should."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.backend.test.case.node import collect_testcases

from sardonyx.frontends import dsl
from sardonyx.frontends.dsl.dtypes import named
from sardonyx.frontends.dsl.operators import operator_names
from tests.frontends.dsl.support import agree

OPSET = 23
BODIES = {"If", "Loop", "Scan", "SequenceMap"}


@functools.cache
def cases():
    """ONNX's own node tests of one node each, by name; without bodies, which need functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return {case.name: case.model.graph for case in found if is_wanted(case.model)}


def is_wanted(model):
    """Whether a case is one node on tensors that means at its opset what it means here."""
    graph = model.graph
    opset = {o.domain: o.version for o in model.opset_import}
    if len(graph.node) != 1 or set(opset) != {""}:
        return False
    if graph.node[0].op_type not in set(operator_names()) - BODIES:
        return False
    versions = {
        onnx.defs.get_schema(graph.node[0].op_type, v, "").since_version for v in (opset[""], OPSET)
    }
    return len(versions) == 1 and all(v.type.HasField("tensor_type") for v in graph.input)


def rebuilt(graph):
    """The node of a case, called by its name with operands and attributes of the case."""
    (node,) = graph.node
    inputs = {}
    for value in graph.input:
        kind = value.type.tensor_type
        dims = tuple(d.dim_param or d.dim_value for d in kind.shape.dim)
        inputs[value.name] = named(ir.DataType(kind.elem_type))[dims]
    attributes = {a.name: ir.from_proto(a) for a in node.attribute}

    def call(**tensors):
        operands = [tensors.get(name) for name in node.input]
        return getattr(dsl.op, node.op_type)(*operands, outputs=len(node.output), **attributes)

    scope = {"call": call}
    given = ", ".join(f"{n}={n}" for n in inputs)
    exec(f"def model({', '.join(inputs)}): return call({given})", scope)
    return dsl.model(**inputs)(scope["model"])


def test_all_names_are_listed():
    names = operator_names()
    assert len(names) >= 190
    assert {"Attention", "RMSNormalization", "Conv", "GridSample", "StringSplit"} <= set(names)
    assert set(names) <= set(dir(dsl.op))
    assert "Normalizes" in dsl.op.RMSNormalization.__doc__ or "normalization" in (
        dsl.op.RMSNormalization.__doc__.lower()
    )


@pytest.mark.parametrize("op_type", operator_names())
def test_every_operator_makes_the_node_of_the_standard(op_type):
    """Each case of ONNX's node tests gives the same node: operands, outputs and attributes."""
    mine = {n: g for n, g in cases().items() if g.node[0].op_type == op_type}
    if not mine:
        assert callable(getattr(dsl.op, op_type))
        return
    for graph in mine.values():
        (wanted,) = graph.node
        model = rebuilt(graph)
        proto = model.to_onnx()
        # onnx.checker demands the rank of an output, which a shape given at run time hides.
        if all(v.type.tensor_type.HasField("shape") for v in proto.graph.output):
            onnx.checker.check_model(proto)
        node = next(n for n in proto.graph.node if n.op_type == op_type)
        inputs = list(wanted.input)
        while inputs and not inputs[-1]:
            inputs.pop()
        assert list(node.input) == inputs
        assert len(node.output) == len(wanted.output)
        got = {a.name: a.SerializeToString(deterministic=True) for a in node.attribute}
        assert got == {a.name: a.SerializeToString(deterministic=True) for a in wanted.attribute}


def test_operands_and_attributes_by_name():
    @dsl.model(x=dsl.f32["n", 3, 6, 6])
    def conv(x):
        w = np.ones((2, 3, 3, 3), np.float32)
        return dsl.op.Conv(X=x, W=w, strides=[2, 2], B=[1.0, 2.0])

    x = np.ones((1, 3, 6, 6), np.float32)
    wanted = np.broadcast_to(np.array([28, 29], np.float32)[None, :, None, None], (1, 2, 2, 2))
    agree(conv, wanted, rtol=0, x=x)


def test_left_out_operands_and_several_outputs():
    @dsl.model(x=dsl.f32["n", 4])
    def several(x):
        low = dsl.op.Clip(x, None, 0.5)
        values, positions = dsl.op.TopK(x, [1])
        return low, values, positions, *dsl.op.Split(x, num_outputs=2, axis=1, outputs=2)

    x = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    wanted = [x.clip(None, 0.5), x.max(1, keepdims=True), x.argmax(1)[:, None], x[:, :2], x[:, 2:]]
    agree(several, wanted, rtol=0, x=x)


def test_contrib_operators():
    model = dsl.model(x=dsl.f32["n", 4])(lambda x: dsl.contrib.FastGelu(x) + 1)
    proto = model.to_onnx()
    assert {o.domain: o.version for o in proto.opset_import} == {"": 23, "com.microsoft": 1}
    assert model.to_ir().graph[0].domain == "com.microsoft"


def test_strings():
    model = dsl.model(x=dsl.string["n"])(lambda x: dsl.op.StringConcat(x, "!"))
    x = np.array(["a", "bc"], object)
    agree(model, np.array(["a!", "bc!"], object), rtol=0, x=x)

"""Lowered models compute what they computed before, or are refused by the node's name."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.opset import lower_opset, newer_nodes, raise_opset
from tests.compiler.opset.oracle import (
    assert_same,
    checked,
    model,
    operators,
    random_inputs,
    read_models,
    reference,
    run,
)

MODELS = read_models("down.txt")


@pytest.mark.parametrize("name", MODELS)
def test_a_lowered_model_computes_the_same(name):
    proto = model(*MODELS[name], ir_version=11)
    feeds = random_inputs(proto, seed=len(name))
    source = ir.from_proto(proto)
    lowered = lower_opset(source, 18)
    assert lowered.opset_imports[""] == 18
    assert ir.to_proto(source) == ir.to_proto(ir.from_proto(proto)), "the source was changed"
    old = checked(lowered)
    assert_same(run(old, feeds), reference(proto, feeds), rtol=1e-4, atol=1e-5)
    assert not list(newer_nodes(lowered, 18))


@pytest.mark.parametrize("opset", [19, 20, 21, 22])
def test_every_opset_on_the_way_can_be_reached(opset):
    proto = model(*MODELS["hard swish then gelu"], ir_version=11)
    feeds = random_inputs(proto)
    lowered = lower_opset(ir.from_proto(proto), opset)
    assert lowered.opset_imports[""] == opset
    assert ("Gelu" in operators(lowered)) == (opset >= 20)
    assert_same(run(checked(lowered), feeds), reference(proto, feeds), rtol=1e-5, atol=1e-6)


# (opset, signature, body, lowered to, message)
REFUSED = {
    "image decoder": (
        20,
        "(uint8[n] x) => (uint8[h,w,3] y)",
        "y = ImageDecoder(x)",
        18,
        "ImageDecoder cannot be expressed in opset 18",
    ),
    "string concat": (
        20,
        "(string[2] x) => (string[2] y)",
        "y = StringConcat(x, x)",
        18,
        "StringConcat cannot",
    ),
    "dilations": (
        19,
        "(float[1,1,7,7] x) => (float[1,1,3,3] y)",
        "y = AveragePool<kernel_shape=[3,3],dilations=[2,2]>(x)",
        18,
        "dilations is",
    ),
    "block": (
        21,
        "(float[4,4] x, float[2,4] s) => (uint8[4,4] y)",
        "y = QuantizeLinear<block_size=2>(x, s)",
        18,
        "in blocks",
    ),
    "output dtype": (
        21,
        "(float[4] x, float s) => (int8[4] y)",
        "y = QuantizeLinear<output_dtype=3>(x, s)",
        18,
        "output_dtype is not",
    ),
    "grid of volumes": (
        20,
        "(float[1,1,3,3,3] x, float[1,2,2,2,3] g) => (float[1,1,2,2,2] y)",
        "y = GridSample(x, g)",
        18,
        "batch of images",
    ),
    "bfloat16": (
        22,
        "(bfloat16[2] x) => (bfloat16[2] y)",
        "y = Sin(x)",
        18,
        r"input is a tensor\(bfloat16\)",
    ),
    "computed axis": (
        20,
        "(float[2,6,3,1] x, int64 a) => (float[2,6,3,2] y)",
        "y = DFT(x, , a)",
        18,
        "axis is computed",
    ),
    "below 18": (23, "(float[2] x) => (float[2] y)", "y = Relu(x)", 17, "opset 17"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_is_refused(name):
    opset, signature, body, to, message = REFUSED[name]
    with pytest.raises(UnsupportedError, match=message):
        lower_opset(ir.from_proto(model(opset, signature, body, ir_version=11)), to)


def test_the_refusal_names_the_node():
    proto = model(20, "(uint8[n] x) => (uint8[h,w,3] y)", "y = ImageDecoder(x)", ir_version=10)
    proto.graph.node[0].metadata_props.add(key="sardonyx.source", value="camera.decode")
    with pytest.raises(UnsupportedError, match=r"camera\.decode"):
        lower_opset(ir.from_proto(proto), 18)


def test_subgraphs_are_lowered():
    proto = model(
        23,
        "(bool c, float[2,3] x) => (float[2,3] y)",
        """y = If (c) <then_branch = t () => (float[2,3] u) { u = Gelu(x) },
                   else_branch = e () => (float[2,3] w) { v = Gelu(x) w = Gelu(v) }>""",
        ir_version=11,
    )
    lowered = checked(lower_opset(ir.from_proto(proto), 18))
    for flag in (True, False):
        feeds = {"c": np.array(flag), "x": random_inputs(proto)["x"]}
        assert_same(run(lowered, feeds), reference(proto, feeds), rtol=1e-5, atol=1e-6)


# (opset, signature, body, the opset that raise_opset(23) gives)
NEWER = {
    "relu": (24, "(float[2] x) => (float[2] y)", "y = Relu(x)", 23),
    "reshape": (25, "(float[2,3] x, int64[1] s) => (float[6] y)", "y = Reshape(x, s)", 23),
    "cast": (24, "(float[2] x) => (int32[2] y)", "y = Cast<to=6>(x)", 23),
    "attention": (
        24,
        "(float[2,3,4,6] q, float[2,3,4,6] k, float[2,3,4,6] v) => (float[2,3,4,6] y)",
        "y = Attention(q, k, v)",
        23,
    ),
    "attention mask": (
        24,
        "(float[1,3,4,6] q, float[1,3,5,6] k, float[1,3,5,6] v, float[4,5] m)"
        " => (float[1,3,4,6] y)",
        "y = Attention(q, k, v, m)",
        23,
    ),
    "attention short mask": (
        24,
        "(float[1,3,4,6] q, float[1,3,5,6] k, float[1,3,5,6] v, float[4,1] m)"
        " => (float[1,3,4,6] y)",
        "y = Attention(q, k, v, m)",
        24,
    ),
    "attention lengths": (
        24,
        "(float[2,3,4,6] q, float[2,3,5,6] k, float[2,3,5,6] v, int64[2] n) => (float[2,3,4,6] y)",
        "y = Attention(q, k, v, , , , n)",
        24,
    ),
    "narrow dtype": (24, "(float8e8m0[2] x) => (float[2] y)", "y = Cast<to=1>(x)", 24),
    "swish": (24, "(float[2] x) => (float[2] y)", "y = Swish(x)", 23),
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_models_come_down_when_no_node_needs_more(name):
    opset, signature, body, expected = NEWER[name]
    proto = model(opset, signature, body, ir_version=12)
    settled = raise_opset(ir.from_proto(proto))
    assert settled.opset_imports[""] == expected
    checked(settled)

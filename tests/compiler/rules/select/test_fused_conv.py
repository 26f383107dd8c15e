"""Convolution, then Relu, as FusedConv."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sardonyx.compiler.contrib import add_function_bodies
from sardonyx.compiler.rules.select.fused_conv import CONV_ADD_RELU, CONV_RELU
from tests.support.models import model, normal, random_feeds
from tests.support.rules import check_miss, check_rule, check_same, check_shared
from tests.support.run import run_reference

NOISE = {"atol": 2e-5, "rtol": 1e-5}
EVERY = {"activation", "dilations", "group", "kernel_shape", "strides"}
SIZES = [{"b": 2, "h": 6}, {"b": 1, "h": 3}]
HEAD = "g (float[b,3,7,h] x) => (float[b,4,o,p] y) "
CONVS = [
    "Conv(x, w)",
    "Conv(x, w, c)",
    "Conv <pads = [1, 0, 2, 1], strides = [2, 1]> (x, w, c)",
    "Conv <dilations = [2, 1], kernel_shape = [3, 3]> (x, w)",
    'Conv <auto_pad = "SAME_UPPER"> (x, w, c)',
]


@pytest.mark.parametrize("conv", CONVS)
def test_conv_relu(conv):
    text = HEAD + f"{{ a = {conv} y = Relu(a) }}"
    given = model(text, w=normal(4, 3, 3, 3), c=normal(4))
    after = check_rule(CONV_RELU, given, {"FusedConv": 1}, dims=SIZES, **NOISE)
    padding = "auto_pad" if "auto_pad" in conv else "pads"
    (node,) = after.graph
    assert node.attributes.keys() == {*EVERY, padding}
    assert [v.name for v in node.inputs if v is not None] == re.findall(r"\b[xwc]\b", conv)
    check_shared(CONV_RELU, given, dims=SIZES, **NOISE)
    add_function_bodies(after)
    check_same(given, after, dims=SIZES, **NOISE)
    feeds = random_feeds(given, SIZES[0])
    for a, b in zip(run_reference(given, feeds), run_reference(after, feeds), strict=True):
        np.testing.assert_allclose(b, a, **NOISE)


@pytest.mark.parametrize("operands", ["a, z", "z, a"])
@pytest.mark.parametrize("conv", ["Conv(x, w)", "Conv(x, w, c)"])
def test_conv_add_relu(conv, operands):
    text = f"""g (float[b,3,7,5] x, float[b,4,5,3] z) => (float[b,4,5,3] y)
        {{ a = {conv} s = Add({operands}) y = Relu(s) }}"""
    given = model(text, w=normal(4, 3, 3, 3), c=normal(4))
    after = check_rule(CONV_ADD_RELU, given, {"FusedConv": 1}, dims=SIZES, **NOISE)
    assert None not in after.graph[-1].inputs
    check_shared(CONV_ADD_RELU, given, dims=SIZES, **NOISE)
    add_function_bodies(after)
    check_same(given, after, dims=SIZES, **NOISE)


def test_a_residual_block():
    text = """g (float[b,4,h,5] x) => (float[b,4,h,5] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w, c) d = Relu(a)
        e = Conv <pads = [1, 1, 1, 1]> (d, w, c) s = Add(e, x) y = Relu(s) }"""
    given = model(text, w=normal(4, 4, 3, 3), c=normal(4))
    rules = (CONV_RELU, CONV_ADD_RELU)
    after = check_rule(rules, given, {"FusedConv": 2}, dims=SIZES, atol=1e-3, rtol=1e-4)
    assert add_function_bodies(after) == 2
    check_same(given, after, dims=SIZES, atol=1e-3, rtol=1e-4)


def test_a_sum_that_broadcasts_is_refused():
    text = """g (float[b,3,7,5] x, float[b,4,1,1] z) => (float[b,4,5,3] y)
        { a = Conv(x, w) s = Add(a, z) y = Relu(s) }"""
    given = model(text, w=normal(4, 3, 3, 3))
    check_miss(CONV_ADD_RELU, given, "not known to be of two values of one shape (z: float[b, 4, 1")
    text = text.replace("z) =>", "z, float q) =>").replace("[b,4,1,1] z", "[n,4,5,3] z")
    check_miss(CONV_ADD_RELU, model(text, w=normal(4, 3, 3, 3)), "not known to be of two values")
    given.graph.inputs[0].shape = given.graph.inputs[1].shape = None
    check_miss(CONV_ADD_RELU, given, "not known to be of two values")


def test_a_weight_of_unknown_rank_is_refused():
    given = model(
        "g (float[b,3,7,h] x, float w) => (float[b,4,o,p] y) {a = Conv(x, w) y = Relu(a)}"
    )
    given.graph.inputs[1].shape = None
    check_miss(CONV_RELU, given, "the weight is not one of a convolution of images")


def test_other_dtypes_and_ranks_are_refused():
    text = "g (float16[b,3,7,h] x) => (float16[b,4,o,p] y) { a = Conv(x, w) y = Relu(a) }"
    given = model(text, w=normal(4, 3, 3, 3, dtype=np.float16))
    check_miss(CONV_RELU, given, "the kernel computes in single precision")
    text = "g (float[b,3,7] x) => (float[b,4,o] y) { a = Conv(x, w) y = Relu(a) }"
    given = model(text, w=normal(4, 3, 3))
    check_miss(CONV_RELU, given, "the weight is not one of a convolution of images")

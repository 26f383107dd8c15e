"""Convolution or transposed convolution, then batch norm."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.conv_batch_norm import CONV_BATCH_NORM, CONV_TRANSPOSE_BATCH_NORM
from tests.support.models import batch_norm_weights as norm
from tests.support.models import model, normal
from tests.support.rules import apply, check_miss, check_rule, check_shared, counts

NOISE = {"atol": 2e-5, "rtol": 2e-5}
BOTH = (CONV_BATCH_NORM, CONV_TRANSPOSE_BATCH_NORM)


def conv_norm(conv: str, shape: str, result: str, channels: int, **weights) -> ir.Model:
    text = f"""g (float[{shape}] x) => (float[{result}] y)
        {{ c = {conv} y = BatchNormalization <epsilon = 0.01> (c, s, t, m, v) }}"""
    return model(text, **norm(channels), **weights)


CONVS = [
    # conv, input, output, output channels, weight
    ("Conv(x, w)", "b,3,7", "b,4,5", 4, (4, 3, 3)),
    ("Conv <pads = [1, 1, 1, 1]> (x, w)", "b,3,h,8", "b,4,h,8", 4, (4, 3, 3, 3)),
    ("Conv <strides = [2, 2], dilations = [2, 1]> (x, w)", "b,3,9,8", "b,4,3,3", 4, (4, 3, 3, 3)),
    ("Conv <group = 2> (x, w)", "b,4,7,8", "b,6,5,6", 6, (6, 2, 3, 3)),
    ("Conv <group = 4> (x, w)", "b,4,7,8", "b,4,5,6", 4, (4, 1, 3, 3)),
    ('Conv <auto_pad = "SAME_UPPER"> (x, w)', "b,3,7,8", "b,4,7,8", 4, (4, 3, 3, 3)),
    ("Conv(x, w)", "b,2,4,5,6", "b,3,3,4,5", 3, (3, 2, 2, 2, 2)),
    ("Conv(x, w)", "b,1,7,8", "b,1,7,8", 1, (1, 1, 1, 1)),
    ("ConvTranspose(x, w)", "b,3,7", "b,4,9", 4, (3, 4, 3)),
    ("ConvTranspose <strides = [2, 2]> (x, w)", "b,3,4,5", "b,4,9,11", 4, (3, 4, 3, 3)),
    ("ConvTranspose <group = 2> (x, w)", "b,4,4,5", "b,6,6,7", 6, (4, 3, 3, 3)),
    ("ConvTranspose <group = 3> (x, w)", "b,3,4,5", "b,3,6,7", 3, (3, 1, 3, 3)),
    ("ConvTranspose(x, w)", "b,2,3,4,5", "b,3,4,5,6", 3, (2, 3, 2, 2, 2)),
]
SIZES = [{"b": 2, "h": 5}, {"b": 1, "h": 1}]


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(("conv", "shape", "result", "channels", "weight"), CONVS)
def test_norm_goes_into_the_weights(conv, shape, result, channels, weight, has_bias):
    weights = {"w": normal(*weight)}
    if has_bias:
        conv = conv.replace("w)", "w, bias)")
        weights["bias"] = normal(channels, seed=9)
    given = conv_norm(conv, shape, result, channels, **weights)
    op_type = "ConvTranspose" if "Transpose" in conv else "Conv"
    after = check_rule(BOTH, given, {op_type: 1}, dims=SIZES, **NOISE)
    assert len(after.graph.initializers) == 2
    check_shared(BOTH, given, dims=SIZES, **NOISE)


def test_attributes_and_the_bias_operand_survive():
    conv = "Conv <pads = [0, 1, 2, 1], strides = [2, 1], kernel_shape = [3, 3]> (x, w)"
    given = conv_norm(conv, "b,3,7,8", "b,4,4,8", 4, w=normal(4, 3, 3, 3))
    after = check_rule(BOTH, given, {"Conv": 1}, dims=SIZES, **NOISE)
    (node,) = after.graph
    assert list(node.attributes["pads"].value) == [0, 1, 2, 1]
    assert list(node.attributes["strides"].value) == [2, 1]
    assert [v.dtype for v in node.inputs] == [ir.DataType.FLOAT] * 3


def test_two_convolutions_that_share_a_weight_each_get_their_own():
    text = """g (float[b,3,7,8] x) => (float[b,4,5,6] y, float[b,4,5,6] z) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v)
        e = Abs(x) d = Conv(e, w) z = BatchNormalization(d, s2, t2, m2, v2) }"""
    second = {f"{name}2": array for name, array in norm(4, seed=50).items()}
    given = model(text, w=normal(4, 3, 3, 3), **norm(4), **second)
    after = check_rule(CONV_BATCH_NORM, given, {"Conv": 2, "Abs": 1}, dims=SIZES, **NOISE)
    weights = {n.inputs[1].name for n in after.graph if n.op_type == "Conv"}
    assert len(weights) == 2


def test_a_convolution_that_shares_its_weight_keeps_the_old_one_for_the_other():
    text = """g (float[b,3,7,8] x) => (float[b,4,5,6] y, float[b,4,5,6] z) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v)
        e = Abs(x) z = Conv(e, w) }"""
    given = model(text, w=normal(4, 3, 3, 3), **norm(4))
    check_rule(CONV_BATCH_NORM, given, {"Conv": 2, "Abs": 1}, dims=SIZES, **NOISE)


def test_two_norms_in_a_row_both_go_in():
    text = """g (float[b,3,7,8] x) => (float[b,4,5,6] y) {
        c = Conv(x, w) n = BatchNormalization(c, s, t, m, v)
        y = BatchNormalization(n, s, t, m, v) }"""
    given = model(text, w=normal(4, 3, 3, 3), **norm(4))
    check_rule(CONV_BATCH_NORM, given, {"Conv": 1}, dims=SIZES, **NOISE)


def test_half_precision_stays_half_precision():
    text = """g (float16[b,3,7,8] x) => (float16[b,4,5,6] y)
        { c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }"""
    given = model(text, w=normal(4, 3, 3, 3, dtype=np.float16), **norm(4, np.float16))
    after = check_rule(CONV_BATCH_NORM, given, {"Conv": 1}, dims=SIZES, atol=2e-2, rtol=2e-2)
    held = [v.const_value.numpy().dtype for v in after.graph.initializers.values()]
    assert held == [np.float16, np.float16]


def test_half_precision_weights_are_computed_in_double_precision_and_rounded_once():
    text = """g (float16[b,3,7,8] x) => (float16[b,4,5,6] y)
        { c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }"""
    weight, parts = normal(4, 3, 3, 3, dtype=np.float16), norm(4)
    given = model(text, w=weight, **parts)
    apply(CONV_BATCH_NORM, given)
    exact = parts["s"].astype(np.float64) / np.sqrt(parts["v"].astype(np.float64) + 1e-5)
    wanted = (weight.astype(np.float64) * exact.reshape(-1, 1, 1, 1)).astype(np.float16)
    found = given.graph.node(0).inputs[1].const_value.numpy()
    # epsilon is a single precision attribute, so that a weight may fall to its neighbour.
    np.testing.assert_array_max_ulp(found, wanted, maxulp=1)
    assert np.mean(found == wanted) > 0.95


def test_a_norm_in_training_mode_is_refused():
    text = """g (float[2,3,7,8] x) => (float[2,4,5,6] y) {
        c = Conv(x, w) y, a, b = BatchNormalization <training_mode = 1> (c, s, t, m, v) }"""
    given = model(text, w=normal(4, 3, 3, 3), **norm(4))
    check_miss(CONV_BATCH_NORM, given, "the batch norm is in training mode")
    text = text.replace("Conv(", "ConvTranspose(").replace("[2,4,5,6]", "[2,4,9,10]")
    given = model(text, w=normal(3, 4, 3, 3), **norm(4))
    check_miss(CONV_TRANSPOSE_BATCH_NORM, given, "the batch norm is in training mode")


def test_computed_weights_and_parameters_are_refused():
    text = """g (float[2,3,7,8] x, float[4,3,3,3] w) => (float[2,4,5,6] y) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }"""
    check_miss(CONV_BATCH_NORM, model(text, **norm(4)), "w: float[4, 3, 3, 3] is computed when")
    text = """g (float[2,3,7,8] x, float[4] v) => (float[2,4,5,6] y) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }"""
    rest = {k: a for k, a in norm(4).items() if k != "v"}
    given = model(text, w=normal(4, 3, 3, 3), **rest)
    check_miss(CONV_BATCH_NORM, given, "v: float[4] is computed when")


def test_a_computed_bias_is_refused():
    text = """g (float[2,3,7,8] x, float[4] bias) => (float[2,4,5,6] y) {
        c = Conv(x, w, bias) y = BatchNormalization(c, s, t, m, v) }"""
    given = model(text, w=normal(4, 3, 3, 3), **norm(4))
    check_miss(CONV_BATCH_NORM, given, "bias: float[4] is computed when")


def test_something_else_before_the_norm_is_named():
    text = """g (float[2,4,7,8] x) => (float[2,4,7,8] y) {
        c = Relu(x) y = BatchNormalization(c, s, t, m, v) }"""
    check_miss(CONV_BATCH_NORM, model(text, **norm(4)), "comes from Relu, not from Conv")


@pytest.mark.parametrize("broken", [{"v": -1.0}, {"s": 3e38}])
def test_a_result_that_is_not_finite_is_refused(broken):
    parts = norm(4)
    for name, number in broken.items():
        parts[name][2] = number
    text = """g (float[2,3,7,8] x) => (float[2,4,5,6] y) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) }"""
    given = model(text, w=10 * normal(4, 3, 3, 3), **parts)
    check_miss(CONV_BATCH_NORM, given, "the folded constant has elements that float32 cannot hold")


def test_a_large_weight_that_others_read_is_not_copied():
    text = """g (float[1,2048,1,1] x) => (float[1,2048,1,1] y, float[2048,2048,1,1] z) {
        c = Conv(x, w) y = BatchNormalization(c, s, t, m, v) z = Neg(w) }"""
    given = model(text, w=np.ones((2100, 2048, 1, 1), np.float32)[:2048], **norm(2048))
    check_rule(CONV_BATCH_NORM, given, {"Conv": 1, "Neg": 1}, atol=1e-3, rtol=1e-4)
    larger = text.replace("2048", "2304")
    given = model(larger, w=np.ones((2304, 2304, 1, 1), np.float32), **norm(2304))
    check_miss(CONV_BATCH_NORM, given, "others read the weight too, a copy would take 20 MB")


def test_a_subgraph_is_folded_too():
    text = """g (float[b,3,7,8] x, bool q) => (float[b,4,5,6] y) { y = If (q) <
        then_branch = t () => (float[b,4,5,6] p) {
            c = Conv(x, w) p = BatchNormalization(c, s, t, m, v) },
        else_branch = e () => (float[b,4,5,6] r) { r = Conv(x, w) }> }"""
    given = model(text.replace("t ()", "t_ ()"), w=normal(4, 3, 3, 3), **norm(4))
    after = check_rule(CONV_BATCH_NORM, given, {"If": 1, "Conv": 2}, dims=SIZES, **NOISE)
    assert counts(after)["Conv"] == 2

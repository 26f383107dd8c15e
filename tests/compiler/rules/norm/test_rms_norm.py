"""RMS norms: every spelling, and what looks like one."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm.rms_norm import RMS_NORM, SIMPLIFIED_LAYER_NORM
from tests.support.models import clone, model, normal, random_feeds
from tests.support.rules import apply, check_miss, check_rule, check_shared, counts
from tests.support.run import check_valid, run_ort

# Means over up to 12 elements, in another order.
CLOSE = {"atol": 2e-6, "rtol": 2e-6}
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
NUMBERS = {
    "e": np.float32(0.01),
    "es": np.float32([0.01, 0.02, 0.03, 0.04]),
    "zero": np.float32(0),
    "one": np.float32(1),
    "two": np.float32(2),
    "three": np.float32(3),
    "half": np.float32(0.5),
    "minus_half": np.float32(-0.5),
    "last": np.int64([-1]),
    "both": np.int64([1, 2]),
    "first": np.int64([1]),
    "no_axes": np.zeros(0, np.int64),
}
SQUARES = ["Pow(x, two)", "Mul(x, x)"]
MEAN = "m = ReduceMean(q, last)"
TAILS = [
    "r = Sqrt(v) y = Div(x, r)",
    "r = Pow(v, half) y = Div(x, r)",
    "r = Sqrt(v) i = Reciprocal(r) y = Mul(x, i)",
    "r = Sqrt(v) i = Reciprocal(r) y = Mul(i, x)",
    "r = Sqrt(v) i = Div(one, r) y = Mul(x, i)",
    "r = Pow(v, half) i = Reciprocal(r) y = Mul(x, i)",
    "i = Pow(v, minus_half) y = Mul(x, i)",
]


def net(square="Mul(x, x)", mean=MEAN, eps="Add(m, e)", tail=TAILS[2], shape="b,s,4", **more):
    text = f"g (float[{shape}] x) => (float[{shape}] y) {{ q = {square} {mean} v = {eps} {tail} }}"
    return model(text, **(NUMBERS | more))


@pytest.mark.parametrize("square", SQUARES)
@pytest.mark.parametrize("tail", TAILS)
def test_every_spelling_is_one_operator(square, tail):
    given = net(square, tail=tail)
    check_rule(RMS_NORM, given, {"RMSNormalization": 1}, dims=SIZES, **CLOSE)


def test_epsilon_first_and_other_axes():
    given = net(eps="Add(e, m)")
    check_rule(RMS_NORM, given, {"RMSNormalization": 1}, dims=SIZES, **CLOSE)
    given = net(mean="m = ReduceMean(q, both)", shape="b,3,4")
    after = check_rule(RMS_NORM, given, {"RMSNormalization": 1}, dims=SIZES, **CLOSE)
    (node,) = after.graph
    assert node.attributes.get_int("axis") == -2


@pytest.mark.parametrize("scaled", ["Mul(m, three)", "Div(m, three)"])
def test_a_mean_of_squares_that_is_scaled(scaled):
    text = f"""g (float[b,s,4] x) => (float[b,s,4] y) {{
        q = Mul(x, x) m = ReduceMean(q, last) w = {scaled} v = Add(w, e) r = Sqrt(v)
        y = Div(x, r) }}"""
    given = model(text, **NUMBERS)
    check_rule(RMS_NORM, given, {"RMSNormalization": 1}, dims=SIZES, **CLOSE)


def test_half_precision():
    text = """g (float16[b,s,4] x) => (float16[b,s,4] y) {
        q = Mul(x, x) m = ReduceMean(q, last) v = Add(m, e) r = Sqrt(v) y = Div(x, r) }"""
    given = model(text, **(NUMBERS | {"e": np.float16(0.01)}))
    # Three roundings to half precision more than the one operator has.
    check_rule(RMS_NORM, given, {"RMSNormalization": 1}, dims=SIZES, atol=4e-3, rtol=4e-3)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (net(eps="Add(m, es)"), "epsilon is not one number (es: float[4])"),
        (net(eps="Add(m, zero)"), "epsilon is 0, not positive"),
        (net("Pow(x, three)"), "three: float[] is not 2"),
        (
            net(mean="m = ReduceMean(q, first)", shape="b,3,4"),
            "the mean is over axes [1], not the last of 3",
        ),
        (
            net(mean="m = ReduceMean<noop_with_empty_axes=1>(q, no_axes)"),
            "the mean is over no axis",
        ),
        (net(shape="b,s,c"), "the length of a normalised axis is not known"),
        (net(eps="Add(m, m)"), "is computed when the model runs"),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(RMS_NORM, given, reason)


def test_double_precision_stays():
    text = """g (double[b,4] x) => (double[b,4] y) {
        q = Mul(x, x) m = ReduceMean(q, last) v = Add(m, e) r = Sqrt(v) y = Div(x, r) }"""
    given = model(text, **(NUMBERS | {"e": np.float64(0.01)}))
    check_miss(RMS_NORM, given, "norms keep their statistics in single precision")


def test_another_value_is_divided():
    text = """g (float[b,4] x, float[b,4] z) => (float[b,4] y) {
        q = Mul(x, x) m = ReduceMean(q, last) v = Add(m, e) r = Sqrt(v) y = Div(z, r) }"""
    check_miss(RMS_NORM, model(text, **NUMBERS), "is not the 'x' seen before")


def test_shared_operands():
    check_shared(RMS_NORM, net(), dims=SIZES, **CLOSE)


@pytest.mark.parametrize("attributes", ["<axis=-1, epsilon=0.01>", ""])
def test_onnx_runtimes_own_operator(attributes):
    text = f"""g (float[b,s,4] x) => (float[b,s,4] y) {{
        a = SimplifiedLayerNormalization {attributes} (x, w) y = Neg(a) }}"""
    given = model(text, w=normal(4))
    after = clone(given)
    apply(SIMPLIFIED_LAYER_NORM, after)
    assert counts(after) == {"RMSNormalization": 1, "Neg": 1}
    check_valid(after)
    feeds = random_feeds(given, SIZES[0])
    for wanted, got in zip(run_ort(given, feeds), run_ort(after, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_its_statistics_stay():
    text = """g (float[b,4] x) => (float[b,4] y, float[b,1] z) {
        y, z = SimplifiedLayerNormalization <axis=-1, epsilon=0.01> (x, w) }"""
    reason = "another output of the last node is used"
    check_miss(SIMPLIFIED_LAYER_NORM, model(text, w=normal(4)), reason)

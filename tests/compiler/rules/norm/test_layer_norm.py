"""Layer norms: every spelling, over the last axes and over others, and what looks like one."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm.layer_norm import LAYER_NORM
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared, check_unchanged

# Means over up to 12 elements, in another order.
CLOSE = {"atol": 4e-6, "rtol": 4e-6}
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
NUMBERS = {
    "e": np.float32(0.01),
    "es": np.float32([0.01, 0.02, 0.03, 0.04]),
    "one": np.float32(1),
    "two": np.float32(2),
    "half": np.float32(0.5),
    "minus_half": np.float32(-0.5),
    "last": np.int64([-1]),
    "both": np.int64([2, 1]),
    "first": np.int64([1]),
    "pixels": np.int64([2, 3]),
}
TAILS = [
    "r = Sqrt(v) y = Div(d, r)",
    "r = Pow(v, half) y = Div(d, r)",
    "r = Sqrt(v) i = Reciprocal(r) y = Mul(d, i)",
    "r = Sqrt(v) i = Div(one, r) y = Mul(i, d)",
    "i = Pow(v, minus_half) y = Mul(d, i)",
]
HALF = {k: v.astype(np.float16) for k, v in NUMBERS.items() if v.dtype == np.float32}
LAYER = {"LayerNormalization": 1}


def net(square="Mul(d, d)", tail=TAILS[0], axes="last", shape="b,s,4", dtype="float", eps="e"):
    text = f"""g ({dtype}[{shape}] x) => ({dtype}[{shape}] y) {{
        u = ReduceMean(x, {axes}) d = Sub(x, u) q = {square} m = ReduceMean(q, {axes})
        v = Add(m, {eps}) {tail} }}"""
    return model(text, **(NUMBERS | (HALF if dtype == "float16" else {})))


@pytest.mark.parametrize("square", ["Mul(d, d)", "Pow(d, two)"])
@pytest.mark.parametrize("tail", TAILS)
def test_every_spelling_is_one_operator(square, tail):
    check_rule(LAYER_NORM, net(square, tail), LAYER, dims=SIZES, **CLOSE)


def test_several_axes():
    after = check_rule(LAYER_NORM, net(axes="both", shape="b,3,4"), LAYER, dims=SIZES, **CLOSE)
    (node,) = after.graph
    assert node.attributes.get_int("axis") == -2


def test_the_pixels_of_each_channel():
    given = net(axes="pixels", shape="b,3,4,5")
    check_rule(LAYER_NORM, given, {"InstanceNormalization": 1}, dims=SIZES, **CLOSE)
    check_shared(LAYER_NORM, given, dims=SIZES, **CLOSE)
    check_rule(LAYER_NORM, net(axes="pixels", shape="b,s,4,5"), LAYER, dims=SIZES, **CLOSE)
    check_rule(LAYER_NORM, net(shape="b,3,4"), LAYER, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("shape", "axes"), [("b,4,s,5", "first"), ("b,4,s", "first"), ("b,3,4,s", "both")]
)
def test_channels_of_images_come_last_for_a_while(shape, axes):
    expected = LAYER | {"Transpose": 2}
    check_rule(LAYER_NORM, net(shape=shape, axes=axes), expected, dims=SIZES, **CLOSE)


FAST = "xx = Mul(x, x) mm = ReduceMean(xx, last) uu = Mul(u, u) w = Sub(mm, uu)"


@pytest.mark.parametrize(
    "more",
    [
        "v = Add(w, e)",
        "n = Max(w, zero) v = Add(n, e)",
        "n = Relu(w) v = Add(n, e)",
        "n = Clip(w, zero) v = Add(n, e)",
    ],
)
def test_the_mean_of_squares_less_the_square_of_the_mean(more):
    text = f"""g (float[b,s,4] x) => (float[b,s,4] y) {{
        u = ReduceMean(x, last) d = Sub(x, u) {FAST} {more} r = Sqrt(v) y = Div(d, r) }}"""
    given = model(text, **NUMBERS, zero=np.float32(0))
    # The spelling itself cancels.
    check_rule(LAYER_NORM, given, LAYER, dims=SIZES, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("unbiased", ["Mul(m, up)", "Div(m, down)"])
def test_the_variance_that_is_divided_by_one_less(unbiased):
    text = f"""g (float[b,s,4] x) => (float[b,s,4] y) {{
        u = ReduceMean(x, last) d = Sub(x, u) q = Mul(d, d) m = ReduceMean(q, last)
        w = {unbiased} v = Add(w, e) r = Sqrt(v) y = Div(d, r) }}"""
    given = model(text, **NUMBERS, up=np.float32(4 / 3), down=np.float32(3 / 4))
    check_rule(LAYER_NORM, given, LAYER, dims=SIZES, **CLOSE)


def test_the_variance_of_pixels_that_is_divided_by_one_less():
    tail = "r = Sqrt(v) y = Div(d, r)"
    text = f"""g (float[b,3,4,5] x) => (float[b,3,4,5] y) {{
        u = ReduceMean(x, pixels) d = Sub(x, u) q = Mul(d, d) m = ReduceMean(q, pixels)
        w = Mul(m, up) v = Add(w, e) {tail} }}"""
    given = model(text, **NUMBERS, up=np.float32(20 / 19))
    check_rule(LAYER_NORM, given, {"InstanceNormalization": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("factor", [0, -1, np.inf, [1, 2, 3, 4]])
@pytest.mark.parametrize("corrected", ["Mul(m, k)", "Div(m, k)"])
def test_a_variance_that_is_scaled_by_what_is_no_correction(corrected, factor):
    text = f"""g (float[b,s,4] x) => (float[b,s,4] y) {{
        u = ReduceMean(x, last) d = Sub(x, u) q = Mul(d, d) m = ReduceMean(q, last)
        w = {corrected} v = Add(w, e) r = Sqrt(v) y = Div(d, r) }}"""
    given = model(text, **NUMBERS, k=np.float32(factor))
    reason = "the variance is multiplied by what is not one positive number"
    check_miss(LAYER_NORM, given, reason)


def test_a_mean_that_is_read_elsewhere_stays():
    text = """g (float[b,s,4] x) => (float[b,s,4] y, float[b,s,1] u) {
        u = ReduceMean(x, last) d = Sub(x, u) q = Mul(d, d) m = ReduceMean(q, last)
        v = Add(m, e) r = Sqrt(v) y = Div(d, r) }"""
    expected = LAYER | {"ReduceMean": 1}
    check_rule(LAYER_NORM, model(text, **NUMBERS), expected, dims=SIZES, **CLOSE)


def test_half_precision():
    given = net(dtype="float16")
    # Four roundings to half precision more than the one operator has.
    check_rule(LAYER_NORM, given, LAYER, dims=SIZES, atol=8e-3, rtol=8e-3)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (net(eps="es"), "epsilon is not one number (es: float[4])"),
        (net(shape="b,s,c"), "the length of a normalised axis is not known"),
        (net(axes="both", shape="b,s,4"), "the length of a normalised axis is not known"),
        (net(axes="both", shape="b,4,s"), "the length of a normalised axis is not known"),
        (net(square="Mul(d, x)"), "is not the 'd' seen before"),
        (
            net(tail="u3 = Mul(m, two) r = Sqrt(u3) f = Add(r, e) w = Mul(v, f) y = Div(d, f)"),
            "epsilon is added to the root, not to the variance under it (e: float[])",
        ),
        (
            net(tail="u3 = Div(m, two) r = Sqrt(u3) f = Add(r, e) w = Mul(v, f) y = Div(d, f)"),
            "epsilon is added to the root, not to the variance under it (e: float[])",
        ),
        (
            net(tail="r = Sqrt(m) f = Add(r, e) y = Div(d, f)"),
            "epsilon is added to the root, not to the variance under it (e: float[])",
        ),
        (
            net(tail="r = Sqrt(m) f = Add(r, e) w = Mul(v, f) y = Div(d, f)"),
            "epsilon is added to the root, not to the variance under it (e: float[])",
        ),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(LAYER_NORM, given, reason)


def test_means_over_different_axes_are_none():
    text = """g (float[b,4,4] x) => (float[b,4,4] y) {
        u = ReduceMean(x, first) d = Sub(x, u) q = Mul(d, d) m = ReduceMean(q, last)
        v = Add(m, e) r = Sqrt(v) y = Div(d, r) }"""
    check_miss(LAYER_NORM, model(text, **NUMBERS), "is not the 'axes' seen before")


def test_shared_operands():
    check_shared(LAYER_NORM, net(), dims=SIZES, **CLOSE)


def test_means_that_lose_their_axis_are_of_another_axis():
    text = """g (float[4,4] x) => (float[4,4] y) {
        u = ReduceMean<keepdims = 0>(x, last) d = Sub(x, u) q = Mul(d, d)
        m = ReduceMean<keepdims = 0>(q, last) v = Add(m, e) r = Sqrt(v) y = Div(d, r) }"""
    check_unchanged(LAYER_NORM, model(text, **NUMBERS))

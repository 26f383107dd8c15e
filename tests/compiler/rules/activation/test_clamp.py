"""Clip, Relu, Min and Max after each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sardonyx.compiler.rules.activation.clamp import CLIP_CLIP, CLIP_TO_RELU, MAX_TO_CLIP
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 40}, {"b": 1}]
BOUNDS = {
    "m2": np.float32(-2),
    "m1": np.float32(-1),
    "zero": np.float32(0),
    "p1": np.float32(1),
    "p2": np.float32(2),
    "six": np.float32(6),
    "inf": np.float32(np.inf),
}


def chain(*steps: str, head: str = "g (float[b,5] x) => (float[b,5] y) "):
    names = ["x", *(f"v{i}" for i in range(len(steps) - 1)), "y"]
    pairs = zip(steps, itertools.pairwise(names), strict=True)
    lines = [f"{after} = {step.replace('@', before)}" for step, (before, after) in pairs]
    return model(head + "{ " + " ".join(lines) + " }", **BOUNDS)


CLIPS = [
    "Clip(@, m1, p2)",
    "Clip(@, m2, p1)",
    "Clip(@, p1, p2)",
    "Clip(@, p2, m1)",
    "Clip(@, m1)",
    "Clip(@, p1)",
    "Clip(@, , m1)",
    "Clip(@, , p2)",
    "Clip(@)",
    "Relu(@)",
]


@pytest.mark.parametrize(("first", "second"), list(itertools.product(CLIPS, CLIPS)))
def test_two_clamps_are_one(first, second):
    given = chain(first, second)
    is_relu = {first, second} <= {"Relu(@)", "Clip(@)"} and "Relu(@)" in {first, second}
    both_relu = {first, second} == {"Relu(@)", "Clip(@, m1)"}
    left = {"Relu": 1} if is_relu or both_relu else {"Clip": 1}
    check_rule(CLIP_CLIP, given, left, dims=SIZES, **EXACT)
    check_shared(CLIP_CLIP, given, dims=SIZES, **EXACT)


def test_a_chain_ends_as_one():
    given = chain("Relu(@)", "Clip(@, m1, six)", "Relu(@)", "Clip(@, , p2)")
    check_rule(CLIP_CLIP, given, {"Clip": 1}, dims=SIZES, **EXACT)


def test_integers_keep_their_dtype_and_their_clip():
    text = """g (int32[b,5] x) => (int32[b,5] y) {
        p = Relu(x) y = Clip(p, k) }"""
    given = model(text, k=np.int32(-3))
    check_rule(CLIP_CLIP, given, {"Clip": 1}, dims=SIZES, **EXACT)
    text = "g (int8[b,5] x) => (int8[b,5] y) { p = Clip(x, k) y = Clip(p, l, n) }"
    given = model(text, k=np.int8(-3), l=np.int8(-9), n=np.int8(7))
    check_rule(CLIP_CLIP, given, {"Clip": 1}, dims=SIZES, **EXACT)


def test_half_precision():
    text = "g (float16[b,5] x) => (float16[b,5] y) { p = Relu(x) y = Clip(p, , k) }"
    check_rule(CLIP_CLIP, model(text, k=np.float16(6)), {"Clip": 1}, dims=SIZES, **EXACT)


def test_computed_bounds_are_refused():
    text = "g (float[b,5] x, float k) => (float[b,5] y) { p = Relu(x) y = Clip(p, k) }"
    check_miss(CLIP_CLIP, model(text), "k: float[] is computed when the model runs")


# --- one spelling --------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", ["Clip(@, zero)", "Clip(@, zero, inf)"])
def test_a_clip_at_zero_is_relu(clip):
    check_rule(CLIP_TO_RELU, chain(clip), {"Relu": 1}, dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        ("Clip(@, zero, six)", "it has an upper bound, 6.0"),
        ("Clip(@, p1)", "p1: float[] is not 0"),
        ("Clip(@, , p1)", "none is not 0"),
    ],
)
def test_another_clip_is_no_relu(clip, reason):
    check_miss(CLIP_TO_RELU, chain(clip), reason)


def test_a_clip_of_integers_is_no_relu():
    text = "g (int64[b,5] x) => (int64[b,5] y) { y = Clip(x, k) }"
    check_miss(CLIP_TO_RELU, model(text, k=np.int64(0)), "Relu is for floats (x: int64[b, 5])")


@pytest.mark.parametrize("step", ["Max(@, p1)", "Max(p1, @)", "Min(@, p1)", "Min(m1, @)"])
def test_max_and_min_with_a_number_are_clip(step):
    check_rule(MAX_TO_CLIP, chain(step), {"Clip": 1}, dims=SIZES, **EXACT)


def test_a_bound_with_axes_is_a_number_too():
    text = "g (float[b,5] x) => (float[b,5] y) { y = Max(x, k) }"
    check_rule(MAX_TO_CLIP, model(text, k=np.float32([[2]])), {"Clip": 1}, dims=SIZES, **EXACT)
    given = model(text, k=normal(5))
    check_miss(MAX_TO_CLIP, given, "the bound is not one number (k: float[5])")
    given = model(text.replace("[b,5] y", "[1,b,5] y"), k=np.float32([[[2]]]))
    check_miss(MAX_TO_CLIP, given, "the bound has more axes than the value")


def test_max_of_two_values_is_left_alone():
    text = "g (float[b,5] x, float[b,5] z) => (float[b,5] y) { y = Max(x, z) }"
    check_miss(MAX_TO_CLIP, model(text), "z: float[b, 5] is computed when the model runs")
    text = "g (float[b,5] x, float[b,5] z) => (float[b,5] y) { y = Max(x, k, z) }"
    check_miss(MAX_TO_CLIP, model(text, k=np.float32(0)), "more operands than the pattern")


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (("Min(@, six)", "Max(@, zero)"), "Clip"),
        (("Max(@, zero)", "Min(@, six)"), "Clip"),
        (("Relu(@)", "Min(@, six)"), "Clip"),
        (("Max(@, zero)",), "Relu"),
        (("Max(zero, @)", "Relu(@)"), "Relu"),
        (("Clip(@, zero)", "Clip(@, , inf)"), "Relu"),
    ],
)
def test_all_spellings_of_relu_and_relu6(steps, left):
    rules = (MAX_TO_CLIP, CLIP_CLIP, CLIP_TO_RELU)
    check_rule(rules, chain(*steps), {left: 1}, dims=SIZES, **EXACT)

"""HardSigmoid and HardSwish from their parts."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.activation.hard_sigmoid import HARD_SIGMOID, HARD_SWISH
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 1e-6, "rtol": 1e-6}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "
NUMBERS = {
    "half": np.float32(0.5),
    "one": np.float32(1),
    "three": np.float32(3),
    "six": np.float32([6]),
    "zero": np.float32(0),
    "sixth": np.float32(1 / 6),
    "top": np.float32(6),
    "seven": np.float32(7),
    "wide": np.full((1, 1, 1), 3, np.float32),
}
CLIP = "a = Add(x, three) c = Clip(a, zero, top) "
CLAMPS = ["d = Div(x, six)", "d = Mul(x, sixth)"]
SIGMOIDS = ["{o} = Div(c, six)", "{o} = Mul(c, sixth)", "{o} = Mul(sixth, c)"]


@pytest.mark.parametrize("last", SIGMOIDS)
@pytest.mark.parametrize("clip", [CLIP, CLIP.replace("x, three", "three, x")])
def test_hard_sigmoid(clip, last):
    given = model(HEAD + "{ " + clip + last.format(o="y") + " }", **NUMBERS)
    check_rule(HARD_SIGMOID, given, {"HardSigmoid": 1}, dims=SIZES, **NOISE)
    check_shared(HARD_SIGMOID, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("first", CLAMPS)
def test_hard_sigmoid_by_a_clamp(first):
    given = model(HEAD + "{ " + first + " a = Add(d, half) y = Clip(a, zero, one) }", **NUMBERS)
    check_rule(HARD_SIGMOID, given, {"HardSigmoid": 1}, dims=SIZES, **NOISE)
    check_shared(HARD_SIGMOID, given, dims=SIZES, **NOISE)


SWISHES = [
    *(
        CLIP + last.format(o="d") + order
        for last in SIGMOIDS
        for order in (" y = Mul(x, d)", " y = Mul(d, x)")
    ),
    CLIP + "d = Mul(x, c) y = Div(d, six)",
    CLIP + "d = Mul(c, x) y = Mul(d, sixth)",
    CLIP + "d = Div(x, six) y = Mul(d, c)",
    *(f"{first} a = Add(half, d) c = Clip(a, zero, one) y = Mul(x, c)" for first in CLAMPS),
    "d = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul(d, x)",
    "d = HardSigmoid <alpha = 0.1666667, beta = 0.5> (x) y = Mul(d, x)",
]


@pytest.mark.parametrize("body", SWISHES)
def test_hard_swish(body):
    given = model(HEAD + "{ " + body + " }", **NUMBERS)
    check_rule(HARD_SWISH, given, {"HardSwish": 1}, dims=SIZES, **NOISE)
    check_shared(HARD_SWISH, given, dims=SIZES, **NOISE)
    both = check_rule([HARD_SIGMOID, HARD_SWISH], given, {"HardSwish": 1}, dims=SIZES, **NOISE)
    assert len(both.graph) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CLIP.replace("top", "seven") + "y = Div(c, six)", "seven: float[] is not 6"),
        (CLIP.replace("zero", "three") + "y = Div(c, six)", "three: float[] is not 0"),
        (CLIP.replace("three", "seven") + "y = Div(c, six)", "seven: float[] is not 3"),
        (CLIP + "y = Div(c, seven)", "seven: float[] is not 6"),
        (CLIP + "y = Mul(c, six)", "is not 0.1666667"),
    ],
)
def test_other_numbers_are_refused(body, reason):
    check_miss(HARD_SIGMOID, model(HEAD + "{ " + body + " }", **NUMBERS), reason)


def test_another_factor_than_x_is_refused():
    text = """g (float[b,5] x, float[b,5] z) => (float[b,5] y)
        { d = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul(d, z) }"""
    check_miss(HARD_SWISH, model(text), "is not the 'x' seen before")
    text = HEAD + "{ d = HardSigmoid <alpha = 0.2, beta = 0.5> (x) y = Mul(d, x) }"
    check_miss(HARD_SWISH, model(text), "the HardSigmoid has alpha = 0.2, not 1/6")
    for alpha in ("0.16667004", "0.16666329"):
        near = model(text.replace("0.2", alpha))
        check_miss(HARD_SWISH, near, f"the HardSigmoid has alpha = {float(alpha):.7g}, not 1/6")
    near = model(text.replace("0.2", "0.16666667").replace("0.5", "0.4"))
    check_miss(HARD_SWISH, near, "beta")


def test_constants_that_add_axes_are_refused():
    text = HEAD.replace("[b,5] y", "[1,b,5] y") + "{ " + CLIP + "y = Div(c, six) }"
    given = model(text.replace("three", "wide"), **NUMBERS)
    check_miss(HARD_SIGMOID, given, "a constant has more axes than the value (x: float[b, 5])")


def test_integers_are_refused():
    text = "g (int32[b,5] x) => (int32[b,5] y) { " + CLIP + "y = Div(c, six) }"
    given = model(text, **{k: a.astype(np.int32) for k, a in NUMBERS.items()})
    check_miss(HARD_SIGMOID, given, "it does not compute in floats (x: int32[b, 5])")


def test_double_precision_is_refused():
    text = "g (double[b,5] x) => (double[b,5] y) { " + CLIP + "y = Div(c, six) }"
    given = model(text, **{k: a.astype(np.float64) for k, a in NUMBERS.items()})
    reason = "ONNX Runtime has no kernel of it in double precision (x: dou"
    check_miss(HARD_SIGMOID, given, reason)
    body = "{ d = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul(d, x) }"
    check_miss(HARD_SWISH, model(HEAD.replace("float", "double") + body), reason)

"""PRelu by Relu."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.select.prelu import PRELU_BY_RELU
from tests.support.models import model, normal
from tests.support.rules import apply, check_miss, check_rule, check_shared
from tests.support.run import run_ort

CLOSE = {"atol": 0, "rtol": 5e-7}
SIZES = [{"b": 3, "h": 4}, {"b": 1, "h": 1}]
HEAD = "g (float[b,4,h,5] x) => (float[b,4,h,5] y) "
BETWEEN = {"Relu": 1, "Mul": 2, "Add": 1}
BEYOND = {"Relu": 2, "Mul": 2, "Add": 1}
SLOPES = [
    (np.float32([0.1, 0.9, 1e-6, 0.5]).reshape(4, 1, 1), BETWEEN),
    (np.float32([0.1, 0.2, 0.3, 0.4]).reshape(1, 4, 1, 1), BETWEEN),
    (np.float32([0.1, 0.2, 0.3, 0.4, 0.5]), BETWEEN),
    (np.float32(0.25), BETWEEN),
    (np.float32([0.1, 0, 0.3, 0.4]).reshape(4, 1, 1), BEYOND),
    (np.float32([0.1, 0.2, 1, 0.4]).reshape(4, 1, 1), BEYOND),
    (np.float32([0.1, -0.2, 0.3, 0.4]).reshape(4, 1, 1), BEYOND),
    (np.float32([0.1, 100, 0.3, 0.4]).reshape(4, 1, 1), BEYOND),
]


@pytest.mark.parametrize(("slope", "left"), SLOPES)
def test_is_relu_and_products(slope, left):
    given = model(HEAD + "{ r = Neg(x) y = PRelu(r, a) }", a=slope)
    after = check_rule(PRELU_BY_RELU, given, {"Neg": 1} | left, dims=SIZES, **CLOSE)
    check_shared(PRELU_BY_RELU, given, dims=SIZES, **CLOSE)
    held = [v.shape.numpy() for v in after.graph.initializers.values()]
    assert all(len(shape) == 4 for shape in held), "the blocked layout wants an axis for the batch"


def test_a_computed_slope_is_left_alone():
    text = HEAD.replace(") =>", ", float[4,1,1] a) =>") + "{ y = PRelu(x, a) }"
    reason = "a: float[4, 1, 1] is computed when the model runs"
    check_miss(PRELU_BY_RELU, model(text), reason)


def test_half_precision_is_left_alone():
    given = model(
        HEAD.replace("float", "float16") + "{ y = PRelu(x, a) }",
        a=normal(4, 1, 1, dtype=np.float16),
    )
    reason = "it does not compute in single precision (x: float16[b, 4, h, 5])"
    check_miss(PRELU_BY_RELU, given, reason)


def test_slopes_of_more_axes_than_the_input():
    """They are no slopes by the specification, but ONNX Runtime takes them."""
    text = HEAD + "{ y = PRelu(x, a) }"
    reason = "its slope has more axes than its input (x: float[b, 4, h, 5])"
    check_miss(PRELU_BY_RELU, model(text, a=normal(1, 1, 4, 1, 1)), reason)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_slopes_that_are_no_numbers(number):
    slope = np.float32([0.1, number, 0.3, 0.4]).reshape(4, 1, 1)
    reason = "a slope is infinite or NaN (a: float[4, 1, 1])"
    check_miss(PRELU_BY_RELU, model(HEAD + "{ y = PRelu(x, a) }", a=slope), reason)


@pytest.mark.parametrize("slope", [0.25, 0.0, 1.0, -0.5, 3.0])
def test_infinities_are_what_they_were(slope):
    """Also where a slope is zero: zero times minus infinity is NaN, plus infinity stays."""
    given, after = (model(HEAD + "{ y = PRelu(x, a) }", a=np.float32(slope)) for _ in range(2))
    apply(PRELU_BY_RELU, after)
    x = np.tile(np.float32([np.inf, -np.inf, np.nan, 1, -1]), (1, 4, 1, 1))
    (was,), (got,) = run_ort(given, {"x": x}), run_ort(after, {"x": x})
    np.testing.assert_allclose(got, was, **CLOSE)

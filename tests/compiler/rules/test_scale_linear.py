"""Times or over a constant, then convolution, Gemm or MatMul."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.scale_linear import SCALE_CONV, SCALE_LINEAR
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 3e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "h": 6}, {"b": 1, "h": 3}]
STEPS = ["Mul(x, k)", "Mul(k, x)", "Div(x, k)"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1), (), (1, 1, 1)])
@pytest.mark.parametrize(
    ("conv", "weight"),
    [
        ("Conv <pads = [1, 1, 1, 1]> (s, w, bias)", (4, 6, 3, 3)),
        ("Conv <pads = [1, 1, 1, 1], group = 2> (s, w)", (4, 3, 3, 3)),
        ("ConvTranspose <pads = [1, 1, 1, 1]> (s, w)", (6, 4, 3, 3)),
        ("ConvTranspose <pads = [1, 1, 1, 1], group = 2> (s, w, bias)", (6, 2, 3, 3)),
    ],
)
def test_a_factor_goes_into_a_convolution(step, shape, conv, weight):
    """Padding is no obstacle: zero times the factor is zero."""
    text = f"g (float[b,6,5,h] x) => (float[b,4,5,h] y) {{ s = {step} y = {conv} }}"
    given = model(text, w=normal(*weight), bias=normal(4), k=positive(*shape))
    check_rule(SCALE_CONV, given, {conv.split(" ")[0]: 1}, dims=SIZES, **NOISE)
    check_shared(SCALE_CONV, given, dims=SIZES, **NOISE)


def test_a_factor_along_an_axis_of_the_image_is_refused():
    text = "g (float[b,3,5,h] x) => (float[b,4,5,h] y) { s = Mul(x, k) y = Conv(s, w) }"
    given = model(text, w=normal(4, 3, 1, 1), k=normal(5, 1))
    check_miss(SCALE_CONV, given, "the constant differs along axis 2, channels are axis 1")


def test_a_factor_that_makes_the_channels_is_refused():
    text = "g (float[b,1,5,h] x) => (float[b,4,5,h] y) { s = Mul(x, k) y = Conv(s, w) }"
    given = model(text, w=normal(4, 3, 1, 1), k=normal(3, 1, 1))
    check_miss(SCALE_CONV, given, "the input is not known to have 3 channels (x: float[b, 1,")
    unknown = text.replace("[b,1,5,h]", "[b,c,5,h]")
    given = model(unknown, w=normal(4, 3, 1, 1), k=normal(3, 1, 1))
    check_miss(SCALE_CONV, given, "the input is not known to have 3 channels (x: float[b, c,")


def test_one_factor_for_all_needs_no_known_channels():
    text = "g (float[b,c,5,h] x) => (float[b,4,5,h] y) { s = Mul(x, k) y = Conv(s, w) }"
    given = model(text, w=normal(4, 3, 1, 1), k=np.float32(-2))
    check_rule(SCALE_CONV, given, {"Conv": 1}, dims=[{**d, "c": 3} for d in SIZES], **NOISE)


def test_a_factor_that_adds_axes_is_refused():
    text = "g (float[3,5,h] x) => (float[1,4,5,h] y) { s = Mul(x, k) y = Conv(s, w) }"
    given = model(text, w=normal(4, 3, 1, 1), k=normal(1, 3, 1, 1))
    check_miss(SCALE_CONV, given, "the constant has more axes than what it is applied to")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(3,), (1, 3), ()])
@pytest.mark.parametrize(
    ("gemm", "weight"),
    [("Gemm(s, w)", (3, 4)), ("Gemm <alpha = 0.5, beta = 2.0, transB = 1> (s, w, bias)", (4, 3))],
)
def test_a_factor_goes_into_a_gemm(step, shape, gemm, weight):
    text = f"g (float[b,3] x) => (float[b,4] y) {{ s = {step} y = {gemm} }}"
    given = model(text, w=normal(*weight), bias=normal(4), k=positive(*shape))
    check_rule(SCALE_LINEAR, given, {"Gemm": 1}, dims=SIZES, **NOISE)
    check_shared(SCALE_LINEAR, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("weight", [(3, 4), (2, 3, 4)])
def test_a_factor_goes_into_a_product(step, weight):
    text = f"g (float[b,2,h,3] x) => (float[b,2,h,4] y) {{ s = {step} y = MatMul(s, w) }}"
    given = model(text, w=normal(*weight), k=positive(3))
    check_rule(SCALE_LINEAR, given, {"MatMul": 1}, dims=SIZES, **NOISE)


def test_a_transposed_input_is_refused():
    text = """g (float[3,5] x) => (float[5,4] y)
        { s = Mul(x, k) y = Gemm <transA = 1> (s, w) }"""
    given = model(text, w=normal(3, 4), k=normal(5))
    check_miss(SCALE_LINEAR, given, "the Gemm transposes its input")


def test_a_factor_along_rows_is_refused():
    text = "g (float[b,6,3] x) => (float[b,6,4] y) { s = Mul(x, k) y = MatMul(s, w) }"
    given = model(text, w=normal(3, 4), k=normal(6, 1))
    check_miss(SCALE_LINEAR, given, "the constant differs along axis 1, channels are axis 2")


def test_a_vector_of_weights_is_refused():
    text = "g (float[b,3] x) => (float[b] y) { s = Mul(x, k) y = MatMul(s, w) }"
    given = model(text, w=normal(3), k=normal(3))
    check_miss(SCALE_LINEAR, given, "the weight is a vector")

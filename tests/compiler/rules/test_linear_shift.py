"""Convolution or Gemm, then plus or minus a constant."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.linear_batch_norm import GEMM_BATCH_NORM
from sardonyx.compiler.rules.linear_scale import LINEAR_SCALE
from sardonyx.compiler.rules.linear_shift import CONV_SHIFT, GEMM_SHIFT
from sardonyx.compiler.rules.scale_linear import SCALE_LINEAR
from sardonyx.compiler.rules.shift_linear import SHIFT_GEMM
from tests.support.models import batch_norm_weights, model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 3e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "h": 6}, {"b": 1, "h": 3}]
STEPS = ["Add(c, k)", "Add(k, c)", "Sub(c, k)", "Sub(k, c)"]
IMAGE = "g (float[b,3,5,h] x) => (float[b,4,5,h] y) "


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (), (1, 1, 1, 1)])
@pytest.mark.parametrize("operands", ["x, w", "x, w, bias"])
def test_a_term_goes_into_a_convolution(step, shape, operands):
    """Padding is no obstacle here: the term is added after it."""
    text = IMAGE + f"{{ c = Conv <pads = [1, 1, 1, 1]> ({operands}) y = {step} }}"
    given = model(text, w=normal(4, 3, 3, 3), bias=normal(4), k=normal(*shape))
    check_rule(CONV_SHIFT, given, {"Conv": 1}, dims=SIZES, **NOISE)
    check_shared(CONV_SHIFT, given, dims=SIZES, **NOISE)


def test_a_transposed_convolution_in_groups():
    text = """g (float[b,4,5,h] x) => (float[b,6,5,h] y)
        { c = ConvTranspose <group = 2> (x, w) y = Sub(k, c) }"""
    given = model(text, w=normal(4, 3, 1, 1), k=normal(6, 1, 1))
    check_rule(CONV_SHIFT, given, {"ConvTranspose": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((5, 1), "the constant differs along axis 2, channels are axis 1"),
        ((2, 4, 1, 1), "the constant differs along axis 0, channels are axis 1"),
    ],
)
def test_a_term_of_another_shape_is_refused(shape, reason):
    given = model(
        IMAGE + "{ c = Conv(x, w) y = Add(c, k) }", w=normal(4, 3, 1, 1), k=normal(*shape)
    )
    check_miss(CONV_SHIFT, given, reason)


def test_a_residual_sum_stays():
    text = "g (float[b,3,5,h] x) => (float[b,3,5,h] y) { c = Conv(x, w) y = Add(c, x) }"
    check_miss(CONV_SHIFT, model(text, w=normal(3, 3, 1, 1)), "x: float[b, 3, 5, h] is computed")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("gemm", ["Gemm(x, w)", "Gemm <alpha = 0.5, beta = 2.0> (x, w, bias)"])
@pytest.mark.parametrize("shape", [(4,), (1, 1)])
def test_a_term_goes_into_a_gemm(step, gemm, shape):
    text = f"g (float[b,3] x) => (float[b,4] y) {{ c = {gemm} y = {step} }}"
    given = model(text, w=normal(3, 4), bias=normal(4), k=normal(*shape))
    check_rule(GEMM_SHIFT, given, {"Gemm": 1}, dims=SIZES, **NOISE)
    check_shared(GEMM_SHIFT, given, dims=SIZES, **NOISE)


def test_a_term_along_rows_is_refused():
    text = "g (float[5,3] x) => (float[5,4] y) { c = Gemm(x, w) y = Add(c, k) }"
    given = model(text, w=normal(3, 4), k=normal(5, 1))
    check_miss(GEMM_SHIFT, given, "the constant differs along axis 0, channels are axis 1")


def test_a_term_that_broadcasts_the_gemm_up_is_refused():
    text = "g (float[1,3] x) => (float[5,4] y) { c = Gemm(x, w) y = Add(c, k) }"
    given = model(text, w=normal(3, 4), k=normal(5, 4))
    check_miss(GEMM_SHIFT, given, "the constant differs along axis 0, channels are axis 1")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (GEMM_SHIFT, "c = Gemm(x, w, bias) y = Add(c, k)"),
        (LINEAR_SCALE, "c = Gemm(x, w, bias) y = Mul(c, k)"),
        (SCALE_LINEAR, "c = Mul(x, q) y = Gemm(c, w, bias)"),
        (SHIFT_GEMM, "c = Add(x, q) y = Gemm(c, w, bias)"),
        (GEMM_BATCH_NORM, "c = Gemm(x, w, bias) y = BatchNormalization(c, s, t, m, v)"),
    ],
)
def test_a_bias_that_is_no_vector_stays(rule, body):
    held = {"w": normal(5, 4), "bias": normal(3, 1), "k": normal(4), "q": normal(5)}
    given = model(
        f"g (float[3,5] x) => (float[3,4] y) {{ {body} }}", **held, **batch_norm_weights(4)
    )
    check_miss(rule, given, "the constant differs along axis 0, channels are axis 1 (bias")


def test_a_bias_beyond_the_dtype_is_refused():
    text = "g (float[b,5] x) => (float[b,4] y) { c = Gemm(x, w, bias) y = Add(c, k) }"
    huge = np.full(4, 3e38, np.float32)
    given = model(text, w=normal(5, 4), bias=huge, k=huge)
    check_miss(GEMM_SHIFT, given, "the folded constant has elements that float32 cannot hold")

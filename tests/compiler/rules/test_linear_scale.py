"""Convolution, Gemm or MatMul, then times or over a constant."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.linear_scale import CONV_SCALE, LINEAR_SCALE
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 3e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "h": 6}, {"b": 1, "h": 3}]
STEPS = ["Mul(c, k)", "Mul(k, c)", "Div(c, k)"]
IMAGE = "g (float[b,3,5,h] x) => (float[b,4,5,h] y) "


def conv(step: str, k: np.ndarray, conv: str = "Conv <pads = [1, 1, 1, 1]> (x, w, bias)"):
    return model(IMAGE + f"{{ c = {conv} y = {step} }}", w=normal(4, 3, 3, 3), bias=normal(4), k=k)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (), (1,), (1, 1, 1, 1)])
def test_a_factor_goes_into_a_convolution(step, shape):
    given = conv(step, positive(*shape))
    check_rule(CONV_SCALE, given, {"Conv": 1}, dims=SIZES, **NOISE)
    check_shared(CONV_SCALE, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("call", "weight", "result"),
    [
        ("ConvTranspose(x, w)", (3, 4, 1, 1), 4),
        ("ConvTranspose <group = 3> (x, w)", (3, 2, 1, 1), 6),
        ("Conv <group = 3> (x, w)", (6, 1, 1, 1), 6),
    ],
)
def test_groups_and_transposed_convolutions(call, weight, result):
    text = f"g (float[b,3,5,h] x) => (float[b,{result},5,h] y) {{ c = {call} y = Mul(c, k) }}"
    given = model(text, w=normal(*weight), k=normal(result, 1, 1))
    op_type = call.split("(")[0].split(" ")[0]
    check_rule(CONV_SCALE, given, {op_type: 1}, dims=SIZES, **NOISE)


def test_one_channel():
    text = "g (float[b,3,5,h] x) => (float[b,1,5,h] y) { c = Conv(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(1, 3, 1, 1), k=normal(1, 1, 1))
    check_rule(CONV_SCALE, given, {"Conv": 1}, dims=SIZES, **NOISE)


def test_a_constant_over_the_result_is_no_scale():
    given = conv("Div(k, c)", positive(4, 1, 1))
    check_miss(CONV_SCALE, given, "k: float[4, 1, 1] comes from an input or constant")


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((5,), "the constant differs along axis 3, channels are axis 1"),
        ((5, 5), "the constant differs along axis 2, channels are axis 1"),
        ((2, 1, 1, 1), "the constant differs along axis 0, channels are axis 1"),
        ((1, 1, 4, 1, 1), "the constant has more axes than the 4 of what it is applied to"),
    ],
)
def test_a_factor_of_another_shape_is_refused(shape, reason):
    result = "1,b,4,5,h" if len(shape) == 5 else "b,4,5,h"
    text = f"g (float[b,3,5,h] x) => (float[{result}] y) {{ c = Conv(x, w) y = Mul(c, k) }}"
    given = model(text, w=normal(4, 3, 1, 1), k=normal(*shape))
    check_miss(CONV_SCALE, given, reason)


def test_a_factor_that_broadcasts_the_channels_up_is_refused():
    text = "g (float[b,3,5,h] x) => (float[b,6,5,h] y) { c = Conv(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(1, 3, 1, 1), k=normal(6, 1, 1))
    check_miss(CONV_SCALE, given, "the constant has 6 channels, the value has 1")


def test_a_computed_factor_is_refused():
    text = """g (float[b,3,5,h] x, float[4,1,1] k) => (float[b,4,5,h] y)
        { c = Conv(x, w) y = Mul(c, k) }"""
    check_miss(CONV_SCALE, model(text, w=normal(4, 3, 1, 1)), "k: float[4, 1, 1] is computed")


def test_a_division_by_zero_is_refused():
    given = conv("Div(c, k)", np.float32([1, 2, 0, 3]).reshape(4, 1, 1))
    check_miss(CONV_SCALE, given, "the folded constant has elements that float32 cannot hold")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("gemm", "weight"),
    [
        ("Gemm(x, w)", (3, 4)),
        ("Gemm <alpha = 0.5, beta = 2.0> (x, w, bias)", (3, 4)),
        ("Gemm <transB = 1> (x, w, bias)", (4, 3)),
    ],
)
@pytest.mark.parametrize("shape", [(4,), (1, 4), ()])
def test_a_factor_goes_into_a_gemm(step, gemm, weight, shape):
    text = f"g (float[b,3] x) => (float[b,4] y) {{ c = {gemm} y = {step} }}"
    given = model(text, w=normal(*weight), bias=normal(4), k=positive(*shape))
    check_rule(LINEAR_SCALE, given, {"Gemm": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1, 4), ()])
def test_a_factor_goes_into_a_product(step, shape):
    """The layer scale of ConvNeXt and DINOv2, with a bias between."""
    head = "g (float[b,h,3] x) => (float[b,h,4] y) "
    given = model(head + f"{{ c = MatMul(x, w) y = {step} }}", w=normal(3, 4), k=positive(*shape))
    check_rule(LINEAR_SCALE, given, {"MatMul": 1}, dims=SIZES, **NOISE)
    text = head + f"{{ p = MatMul(x, w) c = Add(bias, p) y = {step} }}"
    given = model(text, w=normal(3, 4), bias=normal(4), k=positive(*shape))
    check_rule(LINEAR_SCALE, given, {"MatMul": 1, "Add": 1}, dims=SIZES, **NOISE)
    check_shared(LINEAR_SCALE, given, dims=SIZES, **NOISE)


def test_a_stack_of_matrices_is_scaled_as_one():
    text = "g (float[b,2,h,3] x) => (float[b,2,h,4] y) { c = MatMul(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(2, 3, 4), k=normal(4))
    check_rule(LINEAR_SCALE, given, {"MatMul": 1}, dims=SIZES, **NOISE)


def test_a_factor_along_rows_is_refused():
    text = "g (float[b,6,3] x) => (float[b,6,4] y) { c = MatMul(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(3, 4), k=normal(6, 1))
    check_miss(LINEAR_SCALE, given, "the constant differs along axis 1, channels are axis 2")


def test_a_factor_that_broadcasts_the_product_up_is_refused():
    text = "g (float[b,h,3] x) => (float[b,h,4] y) { c = MatMul(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(3, 1), k=normal(4))
    check_miss(LINEAR_SCALE, given, "the constant has 4 channels, the value has 1")


def test_a_vector_of_weights_is_refused():
    text = "g (float[b,h,3] x) => (float[b,h] y) { c = MatMul(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(3), k=np.float32(2))
    check_miss(LINEAR_SCALE, given, "the weight is a vector, so that the product has no output")


def test_integers_are_refused():
    text = "g (int32[b,3] x) => (int32[b,4] y) { c = MatMul(x, w) y = Mul(c, k) }"
    given = model(text, w=normal(3, 4, dtype=np.int32), k=np.int32([2, 3, 4, 5]))
    check_miss(LINEAR_SCALE, given, "it does not compute in floats (w: int32[3, 4])")

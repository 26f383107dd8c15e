"""Plus or minus a constant, then convolution, Gemm or MatMul."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.shift_linear import SHIFT_CONV, SHIFT_GEMM, SHIFT_MATMUL
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 3e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "h": 6}, {"b": 1, "h": 3}]
STEPS = ["Add(x, k)", "Add(k, x)", "Sub(x, k)", "Sub(k, x)"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(6, 1, 1), ()])
@pytest.mark.parametrize(
    ("conv", "weight"),
    [
        ("Conv(s, w)", (4, 6, 1, 1)),
        ("Conv <group = 2, strides = [2, 1]> (s, w, bias)", (4, 3, 1, 3)),
    ],
)
def test_a_term_goes_into_a_convolution_without_padding(step, shape, conv, weight):
    rows, columns = (5, "h") if weight[-1] == 1 else (3, "o")
    text = f"""g (float[b,6,5,h] x) => (float[b,4,{rows},{columns}] y)
        {{ s = {step} y = {conv} }}"""
    given = model(text, w=normal(*weight), bias=normal(4), k=normal(*shape))
    check_rule(SHIFT_CONV, given, {"Conv": 1}, dims=SIZES, **NOISE)
    check_shared(SHIFT_CONV, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("pads", ["pads = [0, 0, 1, 0]", 'auto_pad = "SAME_LOWER"'])
def test_padding_is_refused(pads):
    text = f"""g (float[b,3,5,h] x) => (float[b,4,o,h] y)
        {{ s = Add(x, k) y = Conv <{pads}> (s, w) }}"""
    given = model(text, w=normal(4, 3, 1, 1), k=normal(3, 1, 1))
    check_miss(SHIFT_CONV, given, "the convolution pads with zeros, which the shift does not reach")


def test_a_transposed_convolution_is_refused():
    text = "g (float[b,3,5,h] x) => (float[b,4,7,o] y) { s = Add(x, k) y = ConvTranspose(s, w) }"
    given = model(text, w=normal(3, 4, 3, 3), k=normal(3, 1, 1))
    with pytest.raises(AssertionError, match="found nothing like its pattern"):
        check_miss(SHIFT_CONV, given, "")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("gemm", "weight"),
    [
        ("Gemm(s, w)", (3, 4)),
        ("Gemm <alpha = 0.5, beta = 2.0, transB = 1> (s, w, bias)", (4, 3)),
    ],
)
@pytest.mark.parametrize("shape", [(3,), ()])
def test_a_term_goes_into_a_gemm(step, gemm, weight, shape):
    text = f"g (float[b,3] x) => (float[b,4] y) {{ s = {step} y = {gemm} }}"
    given = model(text, w=normal(*weight), bias=normal(4), k=normal(*shape))
    check_rule(SHIFT_GEMM, given, {"Gemm": 1}, dims=SIZES, **NOISE)
    check_shared(SHIFT_GEMM, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), ()])
def test_a_term_goes_into_the_bias_of_a_product(step, shape):
    text = f"""g (float[b,h,3] x) => (float[b,h,4] y)
        {{ s = {step} p = MatMul(s, w) y = Add(bias, p) }}"""
    given = model(text, w=normal(3, 4), bias=normal(4), k=normal(*shape))
    check_rule(SHIFT_MATMUL, given, {"MatMul": 1, "Add": 1}, dims=SIZES, **NOISE)
    check_shared(SHIFT_MATMUL, given, dims=SIZES, **NOISE)


def test_a_product_without_bias_is_left_alone():
    text = "g (float[b,3] x) => (float[b,4] y) { s = Add(x, k) p = MatMul(s, w) y = Add(p, p) }"
    given = model(text, w=normal(3, 4), k=normal(3))
    check_miss(SHIFT_MATMUL, given, "p: float[b, 4] is computed when the model runs")


def test_a_term_along_rows_is_refused():
    text = """g (float[b,6,3] x) => (float[b,6,4] y)
        { s = Add(x, k) p = MatMul(s, w) y = Add(p, bias) }"""
    given = model(text, w=normal(3, 4), bias=normal(4), k=normal(6, 1))
    check_miss(SHIFT_MATMUL, given, "the constant differs along axis 1, channels are axis 2")


def test_a_bias_along_rows_is_refused():
    text = """g (float[b,6,3] x) => (float[b,6,4] y)
        { s = Add(x, k) p = MatMul(s, w) y = Add(p, bias) }"""
    given = model(text, w=normal(3, 4), bias=normal(6, 1), k=normal(3))
    check_miss(SHIFT_MATMUL, given, "the constant differs along axis 1, channels are axis 2")


def test_a_stack_of_matrices_is_refused():
    text = """g (float[b,2,6,3] x) => (float[b,2,6,4] y)
        { s = Add(x, k) p = MatMul(s, w) y = Add(p, bias) }"""
    given = model(text, w=normal(2, 3, 4), bias=normal(4), k=np.float32(3))
    check_miss(SHIFT_MATMUL, given, "the weight is a stack of matrices")

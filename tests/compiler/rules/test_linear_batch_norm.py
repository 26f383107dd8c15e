"""Gemm or MatMul, then batch norm."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.linear_batch_norm import GEMM_BATCH_NORM, MATMUL_BATCH_NORM
from tests.support.models import batch_norm_weights as norm
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 1e-5, "rtol": 1e-5}
SIZES = [{"b": 3}, {"b": 1}]
BN = "y = BatchNormalization(p, s, t, m, v)"
HEAD = "g (float[b,3] x) => (float[b,4] y) "


@pytest.mark.parametrize(
    ("gemm", "weights"),
    [
        ("Gemm(x, w)", {"w": (3, 4)}),
        ("Gemm(x, w, c)", {"w": (3, 4), "c": (4,)}),
        ("Gemm <transB = 1> (x, w, c)", {"w": (4, 3), "c": (1, 4)}),
        ("Gemm <transB = 1> (x, w)", {"w": (4, 3)}),
        ("Gemm <alpha = 0.5, beta = 3.0> (x, w, c)", {"w": (3, 4), "c": (4,)}),
        ("Gemm <alpha = 2.0, beta = 0.25, transB = 1> (x, w, c)", {"w": (4, 3), "c": ()}),
        ("Gemm <beta = 0.0> (x, w, c)", {"w": (3, 4), "c": (1,)}),
    ],
)
def test_norm_goes_into_a_gemm(gemm, weights):
    arrays = {name: normal(*shape, seed=7) for name, shape in weights.items()}
    given = model(HEAD + f"{{ p = {gemm} {BN} }}", **arrays, **norm(4))
    check_rule(GEMM_BATCH_NORM, given, {"Gemm": 1}, dims=SIZES, **NOISE)
    check_shared(GEMM_BATCH_NORM, given, dims=SIZES, **NOISE)


def test_a_transposed_input_stays():
    text = f"g (float[3,b] x) => (float[b,4] y) {{ p = Gemm <transA = 1> (x, w) {BN} }}"
    given = model(text, w=normal(3, 4), **norm(4))
    check_rule(GEMM_BATCH_NORM, given, {"Gemm": 1}, dims=SIZES, **NOISE)


def test_double_precision_stays():
    text = f"g (double[b,3] x) => (double[b,4] y) {{ p = Gemm(x, w, c) {BN} }}"
    double = {"dtype": np.float64}
    given = model(text, w=normal(3, 4, **double), c=normal(4, **double), **norm(4, np.float64))
    check_rule(GEMM_BATCH_NORM, given, {"Gemm": 1}, dims=SIZES, atol=1e-13, rtol=1e-12)


def test_a_bias_that_differs_by_row_is_refused():
    text = f"g (float[5,3] x) => (float[5,4] y) {{ p = Gemm(x, w, c) {BN} }}"
    given = model(text, w=normal(3, 4), c=normal(5, 4), **norm(4))
    check_miss(GEMM_BATCH_NORM, given, "the constant differs along axis 0, channels are axis 1")
    given = model(text, w=normal(3, 4), c=normal(5, 1), **norm(4))
    check_miss(GEMM_BATCH_NORM, given, "the constant differs along axis 0, channels are axis 1")


def test_training_mode_is_refused():
    bn = "y, a, q = BatchNormalization <training_mode = 1> (p, s, t, m, v)"
    given = model(HEAD + f"{{ p = Gemm(x, w) {bn} }}", w=normal(3, 4), **norm(4))
    check_miss(GEMM_BATCH_NORM, given, "the batch norm is in training mode")
    given = model(HEAD + f"{{ p = MatMul(x, w) {bn} }}", w=normal(3, 4), **norm(4))
    check_miss(MATMUL_BATCH_NORM, given, "the batch norm is in training mode")


@pytest.mark.parametrize("plus", ["Add(q, c)", "Add(c, q)"])
@pytest.mark.parametrize("bias", [(4,), (1, 4), (1,), ()])
def test_norm_goes_into_a_product_with_a_bias(plus, bias):
    given = model(
        HEAD + f"{{ q = MatMul(x, w) p = {plus} {BN} }}",
        w=normal(3, 4),
        c=normal(*bias, seed=5),
        **norm(4),
    )
    check_rule(MATMUL_BATCH_NORM, given, {"MatMul": 1, "Add": 1}, dims=SIZES, **NOISE)
    check_shared(MATMUL_BATCH_NORM, given, dims=SIZES, **NOISE)


def test_a_product_without_bias_gets_one():
    given = model(HEAD + f"{{ p = MatMul(x, w) {BN} }}", w=normal(3, 4), **norm(4))
    check_rule(MATMUL_BATCH_NORM, given, {"MatMul": 1, "Add": 1}, dims=SIZES, **NOISE)


def test_a_norm_that_only_scales_adds_nothing():
    parts = {**norm(4), "m": np.zeros(4, np.float32), "t": np.zeros(4, np.float32)}
    given = model(HEAD + f"{{ p = MatMul(x, w) {BN} }}", w=normal(3, 4), **parts)
    check_rule(MATMUL_BATCH_NORM, given, {"MatMul": 1}, dims=SIZES, **NOISE)


def test_a_product_that_is_turned_channels_first():
    text = f"""g (float[b,5,3] x) => (float[b,4,5] y)
        {{ q = MatMul(x, w) r = Add(q, c) p = Transpose <perm = [0, 2, 1]> (r) {BN} }}"""
    given = model(text, w=normal(3, 4), c=normal(4), **norm(4))
    left = {"MatMul": 1, "Add": 1, "Transpose": 1}
    check_rule(MATMUL_BATCH_NORM, given, left, dims=SIZES, **NOISE)
    check_shared(MATMUL_BATCH_NORM, given, dims=SIZES, **NOISE)


def test_channels_that_are_not_the_products_are_refused():
    text = f"g (float[b,4,3] x) => (float[b,4,5] y) {{ p = MatMul(x, w) {BN} }}"
    given = model(text, w=normal(3, 5), **norm(4))
    reason = "batch norm works on axis 1 of the product, its channels are axis 2"
    check_miss(MATMUL_BATCH_NORM, given, reason)
    text = f"""g (float[4,b,3] x) => (float[b,4,5] y)
        {{ q = MatMul(x, w) p = Transpose <perm = [1, 0, 2]> (q) {BN} }}"""
    given = model(text, w=normal(3, 5), **norm(4))
    reason = "batch norm works on axis 0 of the product, its channels are axis 2"
    check_miss(MATMUL_BATCH_NORM, given, reason)


def test_reversed_axes_are_read_from_the_default_perm():
    text = f"""g (float[4,b,3] x) => (float[5,b,4] y)
        {{ q = MatMul(x, w) p = Transpose(q) {BN} }}"""
    given = model(text.replace("[4,b,3]", "[4,b,3]"), w=normal(3, 5), **norm(7))
    reason = "batch norm works on axis 1 of the product, its channels are axis 2"
    check_miss(MATMUL_BATCH_NORM, given, reason)


def test_a_bias_along_another_axis_is_refused():
    text = f"g (float[5,3] x) => (float[5,4] y) {{ q = MatMul(x, w) p = Add(q, c) {BN} }}"
    given = model(text, w=normal(3, 4), c=normal(5, 1), **norm(4))
    check_miss(MATMUL_BATCH_NORM, given, "the constant differs along axis 0, channels are axis 1")


def test_a_bias_that_broadcasts_the_product_up_is_refused():
    text = f"""g (float[b,3] x) => (float[1,4,b,1] y)
        {{ q = MatMul(x, w) p = Add(q, c) {BN} }}"""
    given = model(text, w=normal(3, 1), c=normal(1, 4, 1, 1), **norm(4))
    check_miss(MATMUL_BATCH_NORM, given, "the constant has more axes than the 2 of what it is")


def test_an_unknown_rank_is_refused():
    text = f"""g (float[b,3] x, int64[r] shape) => (float[b,4] y)
        {{ z = Reshape(x, shape) p = MatMul(z, w) {BN} }}"""
    given = model(text, w=normal(3, 4), **norm(4))
    check_miss(MATMUL_BATCH_NORM, given, "the rank of the product is not known")


def test_a_product_that_is_turned_without_an_order():
    text = """g (float[6,3] x) => (float[4,6] y) {
        c = MatMul(x, w) p = Transpose(c) y = BatchNormalization(p, s, t, m, v) }"""
    given = model(text, w=normal(3, 4), **norm(6))
    reason = "batch norm works on axis 0 of the product, its channels are axis 1"
    check_miss(MATMUL_BATCH_NORM, given, reason)

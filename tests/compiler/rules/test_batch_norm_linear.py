"""Batch norm, then convolution, Gemm or MatMul."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.batch_norm_linear import (
    BATCH_NORM_CONV,
    BATCH_NORM_GEMM,
    BATCH_NORM_MATMUL,
    FLAT_BATCH_NORM_LINEAR,
)
from sardonyx.compiler.rules.constant_chain import SHIFT_SHIFT
from tests.support.models import batch_norm_weights, model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 3e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "h": 6}, {"b": 1, "h": 3}]
BN = "n = BatchNormalization(x, s, t, m, v) "


def unshifted(channels: int) -> dict[str, np.ndarray]:
    """A batch norm that only scales."""
    weights = batch_norm_weights(channels)
    weights["m"][:] = weights["t"][:] = 0
    return weights


@pytest.mark.parametrize(
    ("conv", "shape", "result", "weight"),
    [
        ("Conv(n, w)", "b,3,7", "b,4,5", (4, 3, 3)),
        ("Conv(n, w, c)", "b,3,7,h", "b,4,5,?", (4, 3, 3, 3)),
        ("Conv <pads = [0, 0, 0, 0]> (n, w, c)", "b,3,7,h", "b,4,5,?", (4, 3, 3, 3)),
        ('Conv <auto_pad = "VALID"> (n, w)', "b,3,7,h", "b,4,5,?", (4, 3, 3, 3)),
        ("Conv <group = 2, strides = [2, 1]> (n, w, c)", "b,6,7,h", "b,4,3,?", (4, 3, 3, 3)),
        ("Conv <group = 4> (n, w)", "b,4,7,h", "b,4,5,?", (4, 1, 3, 3)),
        ("Conv(n, w)", "b,2,4,5,6", "b,3,3,4,5", (3, 2, 2, 2, 2)),
    ],
)
def test_norm_goes_into_a_convolution_without_padding(conv, shape, result, weight):
    channels = int(shape.split(",")[1])
    text = f"g (float[{shape}] x) => (float[{result.replace('?', 'o')}] y) {{ {BN} y = {conv} }}"
    given = model(text, w=normal(*weight), c=normal(weight[0]), **batch_norm_weights(channels))
    check_rule(BATCH_NORM_CONV, given, {"Conv": 1}, dims=SIZES, **NOISE)
    check_shared(BATCH_NORM_CONV, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("pads", ["pads = [1, 1, 1, 1]", 'auto_pad = "SAME_UPPER"'])
def test_padding_is_refused_unless_the_norm_only_scales(pads):
    text = f"""g (float[b,3,7,h] x) => (float[b,4,7,h] y)
        {{ {BN} y = Conv <{pads}> (n, w) }}"""
    given = model(text, w=normal(4, 3, 3, 3), **batch_norm_weights(3))
    check_miss(BATCH_NORM_CONV, given, "the convolution pads with zeros, which the shift does not")
    given = model(text, w=normal(4, 3, 3, 3), **unshifted(3))
    check_rule(BATCH_NORM_CONV, given, {"Conv": 1}, dims=SIZES, **NOISE)


def test_training_mode_is_refused():
    text = """g (float[2,3,7,8] x) => (float[2,4,5,6] y) {
        n, a, q = BatchNormalization <training_mode = 1> (x, s, t, m, v) y = Conv(n, w) }"""
    given = model(text, w=normal(4, 3, 3, 3), **batch_norm_weights(3))
    check_miss(BATCH_NORM_CONV, given, "the batch norm is in training mode")
    text = text.replace("2,3,7,8", "2,3").replace("2,4,5,6", "2,5").replace("Conv", "MatMul")
    given = model(text, w=normal(3, 5), **batch_norm_weights(3))
    check_miss(BATCH_NORM_MATMUL, given, "the batch norm is in training mode")


@pytest.mark.parametrize(
    ("gemm", "weight"),
    [
        ("Gemm(n, w)", (3, 4)),
        ("Gemm <transB = 1> (n, w, c)", (4, 3)),
        ("Gemm <alpha = 0.5, beta = 3.0> (n, w, c)", (3, 4)),
        ("Gemm <alpha = -2.0> (n, w)", (3, 4)),
    ],
)
def test_norm_goes_into_a_gemm(gemm, weight):
    text = f"g (float[b,3] x) => (float[b,4] y) {{ {BN} y = {gemm} }}"
    given = model(text, w=normal(*weight), c=normal(4), **batch_norm_weights(3))
    check_rule(BATCH_NORM_GEMM, given, {"Gemm": 1}, dims=SIZES, **NOISE)
    check_shared(BATCH_NORM_GEMM, given, dims=SIZES, **NOISE)


def test_a_gemm_that_transposes_its_input_is_refused():
    text = f"""g (float[3,5] x) => (float[5,4] y)
        {{ {BN} y = Gemm <transA = 1> (n, w) }}"""
    given = model(text, w=normal(3, 4), **batch_norm_weights(5))
    check_miss(BATCH_NORM_GEMM, given, "the Gemm transposes its input")


def test_norm_goes_into_a_product_of_matrices():
    text = f"g (float[b,3] x) => (float[b,4] y) {{ {BN} p = MatMul(n, w) y = Add(p, c) }}"
    given = model(text, w=normal(3, 4), c=normal(4), **batch_norm_weights(3))
    # The MatMul is met before its Add; shift_shift, of another file, joins the two terms.
    check_rule(BATCH_NORM_MATMUL, given, {"MatMul": 1, "Add": 2}, dims=SIZES, **NOISE)
    check_shared(BATCH_NORM_MATMUL, given, dims=SIZES, **NOISE)


def test_channels_that_the_product_does_not_sum_over_are_refused():
    reason = "the batch norm's channels are not the axis that the product sums over"
    text = f"g (float[b,3,5] x) => (float[b,3,4] y) {{ {BN} y = MatMul(n, w) }}"
    given = model(text, w=normal(5, 4), **batch_norm_weights(3))
    check_miss(BATCH_NORM_MATMUL, given, reason)
    text = f"g (float[5,3] x) => (float[2,5,4] y) {{ {BN} y = MatMul(n, w) }}"
    given = model(text, w=normal(2, 3, 4), **batch_norm_weights(3))
    check_miss(BATCH_NORM_MATMUL, given, reason)


# --- with the channels and their pixels flattened between ----------------------------------------


def flat(body: str):
    rows = {"w": normal(24, 5), "u": normal(5, 24), "c": normal(5), "rows": np.int64([-1, 24])}
    text = f"g (float[b,3,2,4] x) => (float[b,5] y) {{ {BN} {body} }}"
    return model(text, zero=np.int64([0, 24]), **rows, **batch_norm_weights(3))


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("f = Flatten(n) y = Gemm(f, w, c)", {"Flatten": 1, "Gemm": 1}),
        ("f = Flatten(n) y = Gemm(f, w)", {"Flatten": 1, "Gemm": 1}),
        ("f = Flatten(n) y = Gemm <transB=1, alpha=2.0> (f, u, c)", {"Flatten": 1, "Gemm": 1}),
        ("f = Reshape(n, rows) y = Gemm(f, w, c)", {"Reshape": 1, "Gemm": 1}),
        ("f = Reshape(n, zero) y = MatMul(f, w)", {"Reshape": 1, "MatMul": 1, "Add": 1}),
    ],
)
def test_norm_goes_through_a_flatten(body, left):
    given = flat(body)
    check_rule(FLAT_BATCH_NORM_LINEAR, given, left, dims=[{"b": 2}, {"b": 1}], **NOISE)
    check_shared(FLAT_BATCH_NORM_LINEAR, given, dims=[{"b": 2}, {"b": 1}], **NOISE)


def test_sequences_of_channels_are_flattened_too():
    text = f"g (float[b,3,8] x) => (float[b,5] y) {{ {BN} f = Flatten(n) y = Gemm(f, w) }}"
    given = model(text, w=normal(24, 5), **batch_norm_weights(3))
    left = {"Flatten": 1, "Gemm": 1}
    check_rule(FLAT_BATCH_NORM_LINEAR, given, left, dims=[{"b": 2}, {"b": 1}], **NOISE)


def test_a_gemm_in_training_mode_and_one_of_a_matrix_as_its_bias():
    text = """g (float[2,3] x) => (float[2,5] y) {
        n, a, q = BatchNormalization <training_mode = 1> (x, s, t, m, v) y = Gemm(n, w) }"""
    given = model(text, w=normal(3, 5), **batch_norm_weights(3))
    check_miss(BATCH_NORM_GEMM, given, "the batch norm is in training mode")
    text = f"g (float[2,3] x) => (float[2,5] y) {{ {BN} y = Gemm(n, w, c) }}"
    given = model(text, w=normal(3, 5), c=normal(2, 1), **batch_norm_weights(3))
    check_miss(BATCH_NORM_GEMM, given, "the constant differs along axis 0, channels are axis 1")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (BATCH_NORM_MATMUL, "y = MatMul(n, w)"),
        (BATCH_NORM_GEMM, "y = Gemm(n, w, c)"),
        (FLAT_BATCH_NORM_LINEAR, "f = Flatten(n) y = Gemm(f, w, c)"),
    ],
)
def test_values_of_unknown_rank(rule, body):
    text = f"g (float[2,3] x) => (float[2,5] y) {{ {BN} {body} }}"
    given = model(text, w=normal(3, 5), c=normal(5), **batch_norm_weights(3))
    given.graph.inputs[0].shape = None
    reasons = {
        FLAT_BATCH_NORM_LINEAR.name: "it does not flatten channels and pixels into rows",
        BATCH_NORM_GEMM.name: "the batch norm's channels are not the axis",
        BATCH_NORM_MATMUL.name: "the batch norm's channels are not the axis",
    }
    check_miss(rule, given, reasons[rule.name])


def test_training_mode_is_refused_there_too():
    text = """g (float[2,3,2,2] x) => (float[2,5] y) {
        n, a, q = BatchNormalization <training_mode = 1> (x, s, t, m, v)
        f = Flatten <axis = 1> (n) y = Gemm(f, w) }"""
    given = model(text, w=normal(12, 5), **batch_norm_weights(3))
    check_miss(FLAT_BATCH_NORM_LINEAR, given, "the batch norm is in training mode")


def test_the_bias_after_the_product_takes_the_shift():
    given = flat("f = Flatten <axis=1> (n) q = MatMul(f, w) y = Add(q, c)")
    left = {"Flatten": 1, "MatMul": 1, "Add": 1}
    rules = (FLAT_BATCH_NORM_LINEAR, SHIFT_SHIFT)
    check_rule(rules, given, left, dims=[{"b": 2}, {"b": 1}], **NOISE)


@pytest.mark.parametrize(
    ("body", "x", "result", "reason"),
    [
        (
            "f = Flatten <axis=2> (n) y = Gemm(f, e)",
            "b,3,2,4",
            "q,5",
            "not the channels and pixels",
        ),
        ("f = Reshape(n, halves) y = Gemm(f, p)", "b,3,2,4", "q,5", "not the channels and pixels"),
        ("f = Reshape(n, deep) y = MatMul(f, u)", "b,3,2,4", "b,24,5", "does not flatten"),
        ("f = Reshape(n, x_shape) y = MatMul(f, w)", "b,3,2,4", "q,5", "does not flatten"),
        ("f = Flatten(n) y = Gemm(f, w)", "b,3,2,k", "b,5", "the number of pixels is not known"),
        ("f = Flatten(n) y = Gemm(f, z)", "b,3", "b,5", "does not flatten channels and pixels"),
    ],
)
def test_other_rows_are_refused(body, x, result, reason):
    others = {"e": normal(8, 5), "z": normal(3, 5), "u": normal(1, 5), "deep": np.int64([0, 24, 1])}
    text = f"g (float[{x}] x, int64[r] x_shape) => (float[{result}] y) {{ {BN} {body} }}"
    weights = {"w": normal(24, 5), "halves": np.int64([-1, 12]), "p": normal(12, 5), **others}
    given = model(text, **weights, **batch_norm_weights(3))
    check_miss(FLAT_BATCH_NORM_LINEAR, given, reason)


def test_a_transposed_operand_is_refused():
    body = "f = Flatten(n) y = Gemm <transA=1> (f, w)"
    text = f"g (float[24,3,2,4] x) => (float[24,5] y) {{ {BN} {body} }}"
    given = model(text, w=normal(24, 5), **batch_norm_weights(3))
    check_miss(FLAT_BATCH_NORM_LINEAR, given, "the Gemm transposes its input")

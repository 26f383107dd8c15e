"""Convolution, pool, then batch norm: the convolution and the pool."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.conv_batch_norm import POOLED_BATCH_NORM
from tests.support.models import batch_norm_weights as norm
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 2e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "w": 9}, {"b": 1, "w": 5}]


def pooled(pool: str, conv: str = "Conv(x, k)", weight=(4, 3, 3, 3), **others) -> ir.Model:
    text = f"""g (float[b,3,7,w] x) => (float[b,4,h,o] y) {{ c = {conv} p = {pool}
        y = BatchNormalization <epsilon = 0.01> (p, s, t, m, v) }}"""
    return model(text, k=normal(*weight), **{**norm(4), **others})


@pytest.mark.parametrize(
    ("pool", "op_type"),
    [
        ("AveragePool <kernel_shape = [2, 3]> (c)", "AveragePool"),
        ("AveragePool <kernel_shape = [2, 2], strides = [2, 1]> (c)", "AveragePool"),
        ("AveragePool <kernel_shape = [2, 3], pads = [1, 2, 0, 1]> (c)", "AveragePool"),
        ('AveragePool <kernel_shape = [3, 3], auto_pad = "SAME_LOWER"> (c)', "AveragePool"),
        ("AveragePool <kernel_shape = [2, 2], count_include_pad = 1> (c)", "AveragePool"),
        ("AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (c)", "AveragePool"),
        ("GlobalAveragePool(c)", "GlobalAveragePool"),
        ("MaxPool <kernel_shape = [2, 2], strides = [2, 1]> (c)", "MaxPool"),
        ("MaxPool <kernel_shape = [2, 3], pads = [1, 2, 0, 1]> (c)", "MaxPool"),
        ('MaxPool <kernel_shape = [3, 3], auto_pad = "SAME_UPPER"> (c)', "MaxPool"),
        ("GlobalMaxPool(c)", "GlobalMaxPool"),
    ],
)
def test_norm_goes_over_the_pool_into_the_weights(pool, op_type):
    # A factor of nought is not negative.
    given = pooled(pool, s=np.abs(norm(4)["s"]) * np.float32([1, 0, 1, 1]))
    after = check_rule(POOLED_BATCH_NORM, given, {"Conv": 1, op_type: 1}, dims=SIZES, **NOISE)
    assert dict(after.graph.node(1).attributes) == dict(given.graph.node(1).attributes)
    check_shared(POOLED_BATCH_NORM, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("conv", "weight"),
    [
        ("Conv(x, k, bias)", (4, 3, 3, 3)),
        ("ConvTranspose <strides = [2, 1]> (x, k, bias)", (3, 4, 3, 2)),
    ],
)
def test_other_convolutions_take_it_too(conv, weight):
    given = pooled("AveragePool <kernel_shape = [2, 2]> (c)", conv, weight, bias=normal(4, seed=9))
    op_type = conv.split(" ")[0].split("(")[0]
    check_rule(POOLED_BATCH_NORM, given, {op_type: 1, "AveragePool": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        (
            "AveragePool <kernel_shape = [2, 2], pads = [1, 0, 1, 0], count_include_pad = 1> (c)",
            "the average pool counts its padding, which the shift does not reach",
        ),
        (
            'AveragePool <kernel_shape=[2, 2], auto_pad="SAME_UPPER", count_include_pad=1> (c)',
            "the average pool counts its padding, which the shift does not reach",
        ),
        (
            "AveragePool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (c)",
            "the pool rounds its output size up (ceil_mode)",
        ),
        (
            "AveragePool <kernel_shape = [2, 2], pads = [1, 1, 1, 1], dilations = [2, 2]> (c)",
            "the pool is dilated",
        ),
        (
            "AveragePool <kernel_shape = [2, 2], pads = [1, 0, 2, 0]> (c)",
            "a window could lie in the padding alone",
        ),
        (
            "MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (c)",
            "the pool rounds its output size up (ceil_mode)",
        ),
        ("LpPool <kernel_shape = [2, 2]> (c)", "comes from LpPool, not from AveragePool"),
    ],
)
def test_what_is_not_of_elements_alone_is_refused(pool, reason):
    check_miss(POOLED_BATCH_NORM, pooled(pool, s=np.abs(norm(4)["s"])), reason)


@pytest.mark.parametrize("pool", ["MaxPool <kernel_shape = [2, 2]> (c)", "GlobalMaxPool(c)"])
def test_a_negative_factor_changes_which_element_is_the_largest(pool):
    factors = np.array([1, 2, -1, 1], np.float32)
    check_miss(
        POOLED_BATCH_NORM,
        pooled(pool, s=factors),
        "a factor of the batch norm is negative, so that the largest element is another",
    )
    average = pool.replace("Max", "Average")
    check_rule(
        POOLED_BATCH_NORM,
        pooled(average, s=factors),
        {"Conv": 1, average.split(" ")[0].split("(")[0]: 1},
        dims=SIZES,
        **NOISE,
    )


def test_places_of_the_largest_elements_that_others_read_keep_the_pool():
    text = """g (float[b,3,7,7] x) => (float[b,4,2,2] y, int64[b,4,2,2] i) { c = Conv(x, k)
        p, i = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
        y = BatchNormalization(p, s, t, m, v) }"""
    given = model(text, k=normal(4, 3, 3, 3), **{**norm(4), "s": np.abs(norm(4)["s"])})
    check_miss(POOLED_BATCH_NORM, given, "a value in between is an output of the graph")


def test_a_norm_in_training_mode_and_a_computed_weight_are_refused():
    text = """g (float[b,3,7,7] x, float[4,3,3,3] z) => (float[b,4,4,4] y) {
        c = Conv(x, w) p = AveragePool <kernel_shape = [2, 2]> (c)
        y, q, r = BatchNormalization <training_mode = 1> (p, s, t, m, v) }"""
    weights = {"w": normal(4, 3, 3, 3), **norm(4)}
    check_miss(POOLED_BATCH_NORM, model(text, **weights), "the batch norm is in training mode")
    text = text.replace("(x, w)", "(x, z)").replace("<training_mode = 1>", "").replace(", q, r", "")
    check_miss(POOLED_BATCH_NORM, model(text, **norm(4)), "z: float[4, 3, 3, 3] is computed when")


def test_a_result_that_is_not_finite_is_refused():
    given = pooled("GlobalAveragePool(c)", v=-norm(4)["v"])
    check_miss(
        POOLED_BATCH_NORM, given, "the folded constant has elements that float32 cannot hold"
    )

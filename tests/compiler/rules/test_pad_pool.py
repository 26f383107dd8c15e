"""Padding, then pooling."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.pad_pool import PAD_AVERAGE_POOL, PAD_MAX_POOL
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

EXACT = {"atol": 0, "rtol": 0}
NOISE = {"atol": 1e-6, "rtol": 1e-6}
SIZES = [{"b": 2, "w": 6}, {"b": 1, "w": 2}]
HEAD = "g (float[b,3,7,w] x) => (float[b,3,h,o] y) "
CONSTANTS = {
    "p": np.array([0, 0, 1, 2, 0, 0, 0, 1], np.int64),
    "wide": np.array([0, 0, 0, 3, 0, 0, 0, 0], np.int64),
    "crop": np.array([0, 0, 1, 2, 0, 0, -1, 1], np.int64),
    "zero": np.float32(0),
    "one": np.float32(1),
    "low": np.float32(-np.inf),
    "least": np.finfo(np.float32).min,
}


def pooled(pad: str, pool: str, head: str = HEAD):
    return model(head + f"{{ r = Relu(x) q = {pad} y = {pool} }}", **CONSTANTS)


@pytest.mark.parametrize("pad", ["Pad(x, p)", "Pad(x, p, zero)"])
@pytest.mark.parametrize(
    ("pool", "total"),
    [
        ("AveragePool <kernel_shape = [3, 3]> (q)", [1, 2, 0, 1]),
        ("AveragePool <kernel_shape = [3, 3], strides = [2, 1]> (q)", [1, 2, 0, 1]),
        (
            "AveragePool <kernel_shape = [3, 4], pads = [1, 0, 1, 0], count_include_pad = 1> (q)",
            [2, 2, 1, 1],
        ),
        ('AveragePool <kernel_shape = [3, 3], auto_pad = "VALID"> (q)', [1, 2, 0, 1]),
    ],
)
def test_an_average_pool_counts_the_zeros(pad, pool, total):
    given = model(HEAD + f"{{ q = {pad} y = {pool} }}", **CONSTANTS)
    after = check_rule(PAD_AVERAGE_POOL, given, {"AveragePool": 1}, dims=SIZES, **NOISE)
    (node,) = after.graph
    assert list(node.attributes["pads"].value) == total
    assert node.attributes["count_include_pad"].value == 1
    check_shared(PAD_AVERAGE_POOL, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("pad", "pool", "reason"),
    [
        (
            "Pad(x, p)",
            "AveragePool <kernel_shape = [3, 3], pads = [1, 0, 1, 0]> (q)",
            "the average pool does not count its own padding",
        ),
        (
            "Pad(x, p, one)",
            "AveragePool <kernel_shape = [3, 3]> (q)",
            "it pads with 1, an average pool with zeros",
        ),
        (
            "Pad(x, p)",
            "AveragePool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (q)",
            "the pool rounds its output size up (ceil_mode)",
        ),
        (
            "Pad(x, p)",
            "AveragePool <kernel_shape = [3, 3], dilations = [1, 2]> (q)",
            "the pool is dilated",
        ),
        (
            "Pad(x, p)",
            'AveragePool <kernel_shape = [3, 3], auto_pad = "SAME_LOWER"> (q)',
            "the pool chooses its own padding (auto_pad)",
        ),
        (
            "Pad(x, wide)",
            "AveragePool <kernel_shape = [3, 3]> (q)",
            "a window could lie in the padding alone",
        ),
        ("Pad(x, crop)", "AveragePool <kernel_shape = [3, 3]> (q)", "it crops"),
    ],
)
def test_an_average_that_would_change_is_refused(pad, pool, reason):
    check_miss(PAD_AVERAGE_POOL, model(HEAD + f"{{ q = {pad} y = {pool} }}", **CONSTANTS), reason)


POOL = "MaxPool <kernel_shape = [3, 3], strides = [2, 1]> (q)"


@pytest.mark.parametrize(
    "pool",
    [
        POOL,
        POOL.replace("strides", "pads = [1, 0, 1, 0], strides"),
        POOL.replace("strides", "dilations = [1, 1], strides"),
        POOL.replace("strides", 'auto_pad = "VALID", strides'),
    ],
)
def test_zeros_do_not_matter_after_relu(pool):
    """The stem of a Keras ResNet."""
    given = pooled("Pad(r, p)", pool)
    check_rule(PAD_MAX_POOL, given, {"Relu": 1, "MaxPool": 1}, dims=SIZES, **EXACT)
    check_shared(PAD_MAX_POOL, given, dims=SIZES, **EXACT)


def test_padding_with_minus_infinity_is_that_of_a_max_pool():
    given = model(HEAD + f"{{ q = Pad(x, p, low) y = {POOL} }}", **CONSTANTS)
    check_rule(PAD_MAX_POOL, given, {"MaxPool": 1}, dims=SIZES, **EXACT)


def test_the_lowest_integer_is_that_of_a_max_pool():
    head = "g (uint8[b,3,7,w] x) => (uint8[b,3,h,o] y) "
    given = model(head + f"{{ q = Pad(x, p) y = {POOL} }}", **CONSTANTS)
    check_rule(PAD_MAX_POOL, given, {"MaxPool": 1}, dims=SIZES, **EXACT)
    head = "g (int8[b,3,7,w] x) => (int8[b,3,h,o] y) "
    given = model(head + f"{{ q = Pad(x, p) y = {POOL} }}", **CONSTANTS)
    check_miss(PAD_MAX_POOL, given, "it pads with 0, a max pool with -128")


@pytest.mark.parametrize(
    ("pad", "pool", "reason"),
    [
        ("Pad(x, p)", POOL, "it pads with 0, a max pool with -inf"),
        ("Pad(x, p, least)", POOL, "it pads with -3.40282e+38, a max pool with -inf"),
        ("Pad(r, p, one)", POOL, "it pads with 1, a max pool with -inf"),
        ("Pad(r, wide)", POOL, "a window could lie in the padding alone"),
        ("Pad(r, p)", POOL.replace("strides", "ceil_mode = 1, strides"), "(ceil_mode)"),
        ("Pad(r, p)", POOL.replace("strides", "dilations = [2, 1], strides"), "is dilated"),
        ('Pad <mode = "reflect"> (r, p)', POOL, "it pads in mode 'reflect'"),
    ],
)
def test_a_maximum_that_would_change_is_refused(pad, pool, reason):
    check_miss(PAD_MAX_POOL, pooled(pad, pool), reason)


def test_positions_in_the_padded_image_are_refused():
    text = "g (float[b,3,7,6] x) => (float[b,3,h,o] y, int64[b,3,h,o] i) "
    pool = "{ r = Relu(x) q = Pad(r, p) y, i = MaxPool <kernel_shape = [3, 3]> (q) }"
    check_miss(PAD_MAX_POOL, model(text + pool, **CONSTANTS), "another output of the last node")

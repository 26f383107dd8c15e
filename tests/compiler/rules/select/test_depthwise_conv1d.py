"""Depthwise convolution of sequences as one of images."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.select import SELECTIONS
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

(DEPTHWISE_CONV1D,) = SELECTIONS["depthwise_conv1d"]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
LENGTHS = [{"b": 2, "n": 9}, {"b": 1, "n": 5}]
WEIGHTS = {
    "w": normal(8, 1, 3),
    "bias": normal(8),
    "wide": normal(16, 1, 3),
    "odd": normal(6, 1, 3),
}


def conv(call: str, channels: int = 8, rank: str = "?,?,?"):
    text = f"g (float[b,{channels},n] x) => (float[{rank}] y) {{ r = Relu(x) y = {call} }}"
    return model(text, **WEIGHTS, full=normal(8, 8, 3), pair=normal(8, 2, 3))


@pytest.mark.parametrize(
    "call",
    [
        "Conv <group=8> (r, w)",
        "Conv <group=8> (r, w, bias)",
        "Conv <group=8, pads=[2,0]> (r, w, bias)",
        "Conv <group=8, pads=[1,1], strides=[2]> (r, w)",
        "Conv <group=8, pads=[2,2], dilations=[2]> (r, w, bias)",
        'Conv <group=8, auto_pad="SAME_UPPER"> (r, w)',
        'Conv <group=8, auto_pad="VALID", kernel_shape=[3]> (r, w)',
    ],
)
def test_it_is_one_of_images(call):
    left = {"Relu": 1, "Unsqueeze": 1, "Conv": 1, "Squeeze": 1}
    given = conv(call)
    check_rule(DEPTHWISE_CONV1D, given, left, dims=LENGTHS, **CLOSE)
    check_shared(DEPTHWISE_CONV1D, given, dims=LENGTHS, **CLOSE)


@pytest.mark.parametrize(
    ("call", "channels", "reason"),
    [
        ("Conv(r, full)", 8, "it is not depthwise: each output reads more than one channel (full"),
        ("Conv <group=4> (r, pair)", 8, "it is not depthwise"),
        ("Conv <group=8> (r, wide)", 8, "it is not depthwise"),
        ("Conv <group=6> (r, odd)", 6, "6 channels are no multiple of 4 (odd: float[6, 1, 3])"),
    ],
)
def test_near_misses(call, channels, reason):
    check_miss(DEPTHWISE_CONV1D, conv(call, channels), reason)


def test_other_convolutions_are_left_alone():
    text = "g (float[b,8,5,n] x) => (float[b,8,5,n] y) { y = Conv <group=8> (x, i) }"
    given = model(text, i=normal(8, 1, 1, 1))
    check_miss(DEPTHWISE_CONV1D, given, "it is no convolution of sequences (i: float[8, 1, 1, 1])")
    text = "g (double[b,8,n] x) => (double[b,8,n] y) { y = Conv <group=8> (x, d) }"
    given = model(text, d=normal(8, 1, 1, dtype=np.float64))
    check_miss(DEPTHWISE_CONV1D, given, "the kernel computes in single precision (x: double")
    text = "g (float[b,8,n] x, float[8,1,1] k) => (float[b,8,n] y) { y = Conv <group=8> (x, k) }"
    check_miss(DEPTHWISE_CONV1D, model(text), "k: float[8, 1, 1] is computed when the model runs")

"""Zero padding, then convolution."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.pad_conv import PAD_CONV
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 1e-5, "rtol": 1e-5}
SIZES = [{"b": 2}, {"b": 1}]
HEAD = "g (float[b,3,7,6] x) => (float[b,4,h,o] y) "


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


PADS = ints(0, 0, 1, 2, 0, 0, 0, 3)


@pytest.mark.parametrize(
    ("pad", "conv", "total"),
    [
        ("Pad(x, p)", "Conv(q, w)", [1, 2, 0, 3]),
        ("Pad(x, p, zero)", "Conv(q, w, c)", [1, 2, 0, 3]),
        ('Pad <mode = "constant"> (x, p, zero)', "Conv(q, w)", [1, 2, 0, 3]),
        ("Pad(x, p)", "Conv <pads = [1, 0, 1, 2]> (q, w, c)", [2, 2, 1, 5]),
        ("Pad(x, p)", 'Conv <auto_pad = "VALID", strides = [2, 2]> (q, w)', [1, 2, 0, 3]),
        ("Pad(x, short, , axes)", "Conv(q, w)", [0, 1, 0, 2]),
        ("Pad(x, both, zero, swapped)", "Conv(q, w)", [2, 1, 4, 3]),
    ],
)
def test_the_convolution_pads(pad, conv, total):
    given = model(
        HEAD + f"{{ q = {pad} y = {conv} }}",
        w=normal(4, 3, 3, 3),
        c=normal(4),
        p=PADS,
        zero=np.float32(0),
        short=ints(1, 2),
        axes=ints(-1),
        both=ints(1, 2, 3, 4),
        swapped=ints(3, 2),
    )
    after = check_rule(PAD_CONV, given, {"Conv": 1}, dims=SIZES, **NOISE)
    (node,) = after.graph
    assert list(node.attributes["pads"].value) == total
    assert "auto_pad" not in node.attributes
    check_shared(PAD_CONV, given, dims=SIZES, **NOISE)


def test_one_and_three_axes():
    text = "g (float[b,3,7] x) => (float[b,4,h] y) { q = Pad(x, p) y = Conv(q, w) }"
    given = model(text, w=normal(4, 3, 3), p=ints(0, 0, 2, 0, 0, 1))
    check_rule(PAD_CONV, given, {"Conv": 1}, dims=SIZES, **NOISE)
    text = "g (float[b,2,3,4,5] x) => (float[b,4,h,i,j] y) { q = Pad(x, p) y = Conv(q, w) }"
    given = model(text, w=normal(4, 2, 2, 2, 2), p=ints(0, 0, 2, 0, 1, 0, 0, 1, 0, 3))
    check_rule(PAD_CONV, given, {"Conv": 1}, dims=SIZES, **NOISE)


def test_computed_weights_do_not_matter():
    text = """g (float[b,3,7,6] x, float[4,3,3,3] w) => (float[b,4,h,o] y)
        { q = Pad(x, p) y = Conv(q, w) }"""
    check_rule(PAD_CONV, model(text, p=PADS), {"Conv": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("pad", "conv", "reason"),
    [
        ('Pad <mode = "reflect"> (x, p)', "Conv(q, w)", "it pads in mode 'reflect'"),
        ('Pad <mode = "edge"> (x, p)', "Conv(q, w)", "it pads in mode 'edge'"),
        ("Pad(x, p, one)", "Conv(q, w)", "it pads with 1, a convolution with zeros"),
        ("Pad(x, crop)", "Conv(q, w)", "it crops: a pad is negative"),
        ("Pad(x, channels)", "Conv(q, w4)", "it pads the batch or the channels"),
        ("Pad(x, batch)", "Conv(q, w)", "it pads the batch or the channels"),
        ("Pad(x, behind)", "Conv(q, w4)", "it pads the batch or the channels"),
        (
            "Pad(x, p)",
            'Conv <auto_pad = "SAME_UPPER"> (q, w)',
            "the convolution chooses its own padding (auto_pad)",
        ),
    ],
)
def test_what_a_convolution_cannot_do_is_refused(pad, conv, reason):
    text = f"g (float[2,3,7,6] x) => (float[n,4,h,o] y) {{ q = {pad} y = {conv} }}"
    given = model(
        text,
        w=normal(4, 3, 3, 3),
        w4=normal(4, 4, 3, 3),
        p=PADS,
        one=np.float32(1),
        crop=ints(0, 0, -1, 0, 0, 0, 1, 1),
        channels=ints(0, 1, 1, 0, 0, 0, 1, 1),
        batch=ints(0, 0, 1, 0, 1, 0, 1, 1),
        behind=ints(0, 0, 1, 0, 0, 1, 1, 1),
    )
    check_miss(PAD_CONV, given, reason)


def test_computed_pads_are_refused():
    text = """g (float[b,3,7,6] x, int64[8] p) => (float[b,4,h,o] y)
        { q = Pad(x, p) y = Conv(q, w) }"""
    check_miss(PAD_CONV, model(text, w=normal(4, 3, 3, 3)), "p: int64[8] is computed when")

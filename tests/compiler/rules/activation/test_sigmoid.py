"""Sigmoid and SiLU from the exponential function."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.activation.sigmoid import SIGMOID, SILU
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 1e-6, "rtol": 1e-6}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "
NUMBERS = {
    "one": np.float32(1),
    "minus": np.float32([-1]),
    "two": np.float32(2),
    "wide": np.float32([[[1]]]),
}
NEGATIVES = ["n = Neg(x)", "n = Mul(x, minus)", "n = Mul(minus, x)"]
SUMS = ["e = Exp(n) s = Add(e, one)", "e = Exp(n) s = Add(one, e)"]


def net(lines: str, head: str = HEAD, dtype=np.float32):
    return model(head + "{ " + lines + " }", **{k: n.astype(dtype) for k, n in NUMBERS.items()})


@pytest.mark.parametrize("last", ["y = Reciprocal(s)", "y = Div(one, s)"])
@pytest.mark.parametrize("total", SUMS)
@pytest.mark.parametrize("first", NEGATIVES)
def test_sigmoid(first, total, last):
    given = net(f"{first} {total} {last}")
    check_rule(SIGMOID, given, {"Sigmoid": 1}, dims=SIZES, **NOISE)
    check_shared(SIGMOID, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("total", SUMS)
@pytest.mark.parametrize("first", NEGATIVES)
def test_silu(first, total):
    given = net(f"{first} {total} y = Div(x, s)")
    check_rule(SILU, given, {"Sigmoid": 1, "Mul": 1}, dims=SIZES, **NOISE)
    check_shared(SILU, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(("dtype", "noise"), [("float16", 2e-3), ("double", 1e-15)])
def test_silu_in_other_precisions(dtype, noise):
    given = net(f"{NEGATIVES[0]} {SUMS[0]} y = Div(x, s)", HEAD.replace("float", dtype), dtype)
    check_rule(SILU, given, {"Sigmoid": 1, "Mul": 1}, dims=SIZES, atol=noise, rtol=noise)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("n = Neg(x) e = Exp(n) s = Add(e, two) y = Reciprocal(s)", "two: float[] is not 1"),
        ("n = Mul(x, two) e = Exp(n) s = Add(e, one) y = Reciprocal(s)", "two: float[] is not -1"),
        ("e = Exp(x) s = Add(e, one) y = Reciprocal(s)", "x: float[b, 5] comes from an input"),
    ],
)
def test_other_numbers_are_refused(lines, reason):
    check_miss(SIGMOID, net(lines), reason)


def test_another_dividend_is_refused():
    lines = "n = Neg(x) e = Exp(n) s = Add(e, one) y = Div(two, s)"
    check_miss(SIGMOID, net(lines), "two: float[] is not 1")
    text = HEAD.replace(") =>", ", float[b,5] z) =>")
    lines = lines.replace("two", "z")
    check_miss(SILU, net(lines, text), "is not the 'x' seen before, z: float[b, 5]")


def test_a_number_that_adds_axes_is_refused():
    head = HEAD.replace("[b,5] y", "[1,b,5] y")
    given = net("n = Neg(x) e = Exp(n) s = Add(e, wide) y = Reciprocal(s)", head)
    check_miss(SIGMOID, given, "a constant has more axes than the value (x: float[b, 5])")

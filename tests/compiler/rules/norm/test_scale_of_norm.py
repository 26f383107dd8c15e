"""A scale before the division of a norm."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm import RULES
from sardonyx.compiler.rules.norm.scale_of_norm import SCALE_OF_NORM
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 4e-6, "rtol": 4e-6}
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
NUMBERS = {"e": np.float32(0.01), "one": np.float32(1), "last": np.int64([-1]), "g": normal(4)}
SPLIT = {"ReduceMean": 1, "Add": 1, "Sqrt": 1, "Mul": 2}


def net(tail: str, square: str = "Mul(x, x)", more: str = ""):
    text = f"""g (float[b,s,4] x, float[b,s,4] z) => (float[b,s,4] y{more}) {{
        c = Mul(g, x) q = {square} m = ReduceMean(q, last) v = Add(m, e) r = Sqrt(v) {tail} }}"""
    return model(text, **NUMBERS)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("y = Div(c, r)", {**SPLIT, "Div": 1}),
        ("i = Reciprocal(r) y = Mul(c, i)", {**SPLIT, "Mul": 3, "Reciprocal": 1}),
    ],
)
def test_the_scale_comes_last(tail, expected):
    given = net(tail)
    check_rule(SCALE_OF_NORM, given, expected, dims=SIZES, **CLOSE)
    check_shared(SCALE_OF_NORM, given, dims=SIZES, **CLOSE)
    check_rule(RULES, given, {"RMSNormalization": 1}, dims=SIZES, **CLOSE)


def test_a_scaled_value_that_is_read_elsewhere_stays():
    given = net("y = Div(c, r)", more=", float[b,s,4] c")
    expected = {**SPLIT, "Mul": 3, "Div": 1}
    check_rule(SCALE_OF_NORM, given, expected, dims=SIZES, **CLOSE)


def test_the_root_of_another_value_divides_no_norm():
    check_miss(SCALE_OF_NORM, net("y = Div(c, r)", "Mul(z, z)"), "is not the 'd' seen before")

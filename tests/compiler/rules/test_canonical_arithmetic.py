"""Arithmetic with constants: every rewrite is exact to the bit."""

import numpy as np

from sardonyx.compiler.rules.canonical_arithmetic import RULES
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule

BY_NAME = {rule.name: rule for rule in RULES}
EXACT = {"atol": 0, "rtol": 0}


def _div(c):
    return model("g (float[b,3] x) => (float[b,3] y) { y = Div(x, c) }", c=c)


def test_division_by_powers_of_two_is_multiplication():
    c = np.array([8, -0.25, 2**-20], np.float32)
    check_rule(BY_NAME["divide_by_power_of_two"], _div(c), {"Mul": 1}, dims={"b": 4}, **EXACT)
    c = np.array([2.0**126, 1, 1], np.float32)  # Its reciprocal is the smallest normal number.
    check_rule(BY_NAME["divide_by_power_of_two"], _div(c), {"Mul": 1}, dims={"b": 4}, **EXACT)


def test_division_that_would_round_differently_stays():
    rule = BY_NAME["divide_by_power_of_two"]
    for c in ([2, 4, 3], [0, 1, 2], [2, 4, np.inf], [2.0**127, 2, 2]):
        check_miss(rule, _div(np.array(c, np.float32)), "not a power of two")


def test_integer_division_stays():
    given = model(
        "g (int64[b] x) => (int64[b] y) { y = Div(x, c) }", c=np.array([2], dtype=np.int64)
    )
    check_miss(BY_NAME["divide_by_power_of_two"], given, "not a float")


def test_subtraction_of_a_constant_is_addition():
    given = model("g (float[b,3] x) => (float[b,3] y) { y = Sub(x, c) }", c=normal(3))
    check_rule(BY_NAME["subtract_constant"], given, {"Add": 1}, dims={"b": 1}, **EXACT)


def test_subtraction_from_a_constant_stays():
    given = model("g (float[b,3] x) => (float[b,3] y) { y = Sub(c, x) }", c=normal(3))
    check_miss(BY_NAME["subtract_constant"], given, "when the model runs")


def test_a_sum_of_two_is_an_add():
    text = "g (float[b,3] x, float[3] z) => (float[b,3] y) { y = Sum(x, z) }"
    check_rule(BY_NAME["sum_of_two"], model(text), {"Add": 1}, dims={"b": 2}, **EXACT)
    three = "g (float[b,3] x, float[3] z) => (float[b,3] y) { y = Sum(x, z, x) }"
    check_miss(BY_NAME["sum_of_two"], model(three), "3 operands")

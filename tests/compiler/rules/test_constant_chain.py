"""Two constants in a row."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.constant_chain import SCALE_SCALE, SHIFT_SHIFT
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 1e-6, "rtol": 1e-6}
EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 4}, {"b": 1}]


def chain(first: str, second: str, k, l, dtype: str = "float", result: str = "b,3,5"):  # noqa: E741
    text = f"g ({dtype}[b,3,5] x) => ({dtype}[{result}] y) {{ p = {first} y = {second} }}"
    return model(text, k=k, l=l)


SCALES = ["Mul(x, k)", "Mul(k, x)", "Div(x, k)"]
SHIFTS = ["Add(x, k)", "Add(k, x)", "Sub(x, k)"]


def then(step: str) -> str:
    return step.replace("x", "p").replace("k", "l")


@pytest.mark.parametrize("second", [then(s) for s in SCALES])
@pytest.mark.parametrize("first", SCALES)
@pytest.mark.parametrize("shapes", [((), ()), ((3, 1), ()), ((5,), (3, 5)), ((1, 3, 1), (3, 1))])
def test_two_factors_are_one(first, second, shapes):
    given = chain(first, second, positive(*shapes[0]), positive(*shapes[1], seed=1))
    check_rule(SCALE_SCALE, given, {"Mul": 1}, dims=SIZES, **NOISE)
    check_shared(SCALE_SCALE, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("second", [then(s) for s in SHIFTS])
@pytest.mark.parametrize("first", SHIFTS)
@pytest.mark.parametrize("shapes", [((), ()), ((3, 1), ()), ((5,), (3, 5))])
def test_two_terms_are_one(first, second, shapes):
    # Terms of different size never cancel.
    given = chain(first, second, positive(*shapes[0]), 9 + positive(*shapes[1], seed=1))
    check_rule(SHIFT_SHIFT, given, {"Add": 1}, dims=SIZES, **NOISE)
    check_shared(SHIFT_SHIFT, given, dims=SIZES, **NOISE)


def test_broadcasting_up_stays():
    given = chain("Mul(x, k)", "Mul(p, l)", normal(1, 1, 1, 1), normal(3, 1), result="1,b,3,5")
    check_rule(SCALE_SCALE, given, {"Mul": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8])
def test_integers_wrap_exactly(dtype):
    name = np.dtype(dtype).name
    if dtype == np.int64:  # ONNX Runtime multiplies and adds these on the CPU
        given = chain("Mul(x, k)", "Mul(p, l)", dtype(2**62), np.array([3, 5, 7, 9, 11]), name)
        check_rule(SCALE_SCALE, given, {"Mul": 1}, dims=SIZES, **EXACT)
    first, second = np.array(100, dtype), np.array([100, 27, 90, 1, 0], dtype)
    given = chain("Add(x, k)", "Sub(p, l)", first, second, name)
    check_rule(SHIFT_SHIFT, given, {"Add": 1}, dims=SIZES, **EXACT)
    given = chain("Sub(x, k)", "Add(p, l)", first, second, name)
    check_rule(SHIFT_SHIFT, given, {"Add": 1}, dims=SIZES, **EXACT)


def test_integer_division_is_refused():
    given = chain("Mul(x, k)", "Div(p, l)", np.int32(6), np.int32(4), "int32")
    check_miss(SCALE_SCALE, given, "the division of integers rounds")


@pytest.mark.parametrize("rule", [SCALE_SCALE, SHIFT_SHIFT])
def test_a_larger_combination_is_refused(rule):
    op_type = "Mul" if rule is SCALE_SCALE else "Add"
    given = chain(f"{op_type}(x, k)", f"{op_type}(p, l)", normal(3, 1), normal(5))
    check_miss(rule, given, "the two constants together are larger than each")


@pytest.mark.parametrize(("k", "l"), [(1e30, 1e30), (1e-30, 1e-30), (0.5, np.inf)])
def test_a_product_beyond_the_dtype_is_refused(k, l):  # noqa: E741
    given = chain("Mul(x, k)", "Mul(p, l)", np.float32(k), np.float32(l))
    check_miss(SCALE_SCALE, given, "the product of the constants is too large or too small")


def test_a_factor_of_zero_is_no_underflow():
    given = chain("Mul(x, k)", "Mul(p, l)", np.float32([0, 1, 2, 3, 4]), np.float32(0.5))
    check_rule(SCALE_SCALE, given, {"Mul": 1}, dims=SIZES, **NOISE)


def test_the_rounding_trick_is_left_alone():
    """x + 1.5 * 2**23 - 1.5 * 2**23 rounds x to an integer."""
    magic = np.float32(1.5 * 2**23)
    given = chain("Add(x, k)", "Sub(p, l)", magic, magic)
    check_miss(SHIFT_SHIFT, given, "the constants cancel")


def test_where_constants_begin_to_cancel():
    """Half of the digits of single precision are gone from 2**11 on."""
    given = chain("Add(x, k)", "Sub(p, l)", np.float32(2048), np.float32(2047))
    check_miss(SHIFT_SHIFT, given, "the constants cancel")
    given = chain("Add(x, k)", "Sub(p, l)", np.float32(2047), np.float32(2046))
    # The sum is rounded to a multiple of 2**-13 before, and is not any more.
    check_rule(SHIFT_SHIFT, given, {"Add": 1}, dims=SIZES, atol=2e-4, rtol=0)
    given = chain("Add(x, k)", "Sub(p, l)", np.float32(4096), np.float32(2048))
    # Rounded to a multiple of 2**-11.
    check_rule(SHIFT_SHIFT, given, {"Add": 1}, dims=SIZES, atol=5e-4, rtol=0)


def test_a_sum_beyond_the_dtype_is_refused():
    given = chain("Add(x, k)", "Add(p, l)", np.float32(3e38), np.float32(3e38))
    check_miss(SHIFT_SHIFT, given, "the sum of the constants is too large")
    several = np.float32([1, 2, 3, 3e38, 4])
    given = chain("Add(x, k)", "Add(p, l)", several, several)
    check_miss(SHIFT_SHIFT, given, "the sum of the constants is too large")


def test_a_computed_factor_is_refused():
    text = "g (float[b,5] x, float[5] l) => (float[b,5] y) { p = Mul(x, k) y = Mul(p, l) }"
    check_miss(SCALE_SCALE, model(text, k=normal(5)), "is computed when the model runs")


def test_small_constants_may_cancel():
    given = chain("Add(x, k)", "Add(p, l)", normal(3, 5), -normal(3, 5) + np.float32(1e-3))
    check_rule(SHIFT_SHIFT, given, {"Add": 1}, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("rule", "first", "second", "k", "reason"),
    [
        (SHIFT_SHIFT, "Add(o, k)", "Sub(p, k)", 1.5 * 2**23, "the constants cancel"),
        (SCALE_SCALE, "Mul(o, k)", "Mul(p, k)", 1e30, "is too large or too small"),
    ],
)
def test_constants_tell_that_a_value_of_unknown_dtype_is_of_floats(rule, first, second, k, reason):
    text = "g (float[b,3] x) => (float[b,3] y) { o = local.Opaque(x) "
    given = model(f"{text} p = {first} y = {second} }}", k=np.float32(k))
    check_miss(rule, given, reason)

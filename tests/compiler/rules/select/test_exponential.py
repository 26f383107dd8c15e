"""Softplus and Mish by the exponential function."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.select.exponential import MISH_BY_EXP, SOFTPLUS_BY_LOG
from tests.support.models import model
from tests.support.rules import apply, check_miss, check_rule, check_shared
from tests.support.run import run_ort

NOISE = {"atol": 5e-7, "rtol": 1e-6}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "
LOG = {"Clip": 1, "Exp": 1, "Add": 2, "Sub": 2, "Div": 1, "Log": 1, "Max": 1}
EXP = {"Clip": 1, "Exp": 1, "Add": 2, "Mul": 2, "Div": 1}
CASES = [("Softplus", SOFTPLUS_BY_LOG, LOG), ("Mish", MISH_BY_EXP, EXP)]


@pytest.mark.parametrize(("op_type", "rule", "left"), CASES)
def test_is_made_of_fast_kernels(op_type, rule, left):
    given = model(HEAD + f"{{ r = Neg(x) y = {op_type}(r) }}")
    check_rule(rule, given, {"Neg": 1} | left, dims=SIZES, **NOISE)
    check_shared(rule, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(("op_type", "rule", "left"), CASES)
def test_the_whole_range_of_single_precision(op_type, rule, left):
    """Against double precision: no overflow, and the small results keep their digits."""
    given = model(HEAD + f"{{ y = {op_type}(x) }}")
    apply(rule, given)
    extremes = [1e30, 3e38, 88.7, 88.8, 80, 79.9, 20, 19.9, 0, -0.0]
    x = np.float32([*np.linspace(-80, 100, 990), *extremes]).reshape(-1, 5)
    (got,) = run_ort(given, {"x": x})
    wide = x.astype(np.float64)
    softplus = np.logaddexp(0, wide)
    wanted = softplus if op_type == "Softplus" else wide * np.tanh(softplus)
    np.testing.assert_allclose(got, wanted, atol=0, rtol=5e-7)


@pytest.mark.parametrize(("op_type", "rule", "left"), CASES)
def test_infinities_are_what_they_were(op_type, rule, left):
    given = model(HEAD + f"{{ y = {op_type}(x) }}")
    after = model(HEAD + f"{{ y = {op_type}(x) }}")
    apply(rule, after)
    x = np.float32([[np.inf, -np.inf, np.nan, 1, -1]])
    for a, b in zip(run_ort(given, {"x": x}), run_ort(after, {"x": x}), strict=True):
        np.testing.assert_allclose(b, a, **NOISE)


@pytest.mark.parametrize(("op_type", "rule", "left"), CASES)
def test_half_precision_is_left_alone(op_type, rule, left):
    given = model(HEAD.replace("float", "float16") + f"{{ y = {op_type}(x) }}")
    check_miss(rule, given, "it does not compute in single precision (x: float16[b, 5])")

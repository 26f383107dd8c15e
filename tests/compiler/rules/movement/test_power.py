"""Powers as products, roots and reciprocals."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.movement.power import POWER
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared
from tests.support.run import only_on_cpu

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
SIZES = [{"b": 40}, {"b": 1}]
FORMS = {
    2: {"Mul": 1},
    3: {"Mul": 2},
    4: {"Mul": 2},
    0.5: {"Sqrt": 1},
    -0.5: {"Sqrt": 1, "Reciprocal": 1},
    -1: {"Reciprocal": 1},
    -2: {"Mul": 1, "Reciprocal": 1},
}


def power(exponent, dtype: str = "float"):
    text = f"g ({dtype}[b,5] u) => ({dtype}[b,5] y) {{ a = Abs(u) x = Add(a, one) y = Pow(x, e) }}"
    one = np.ones((), np.float64 if dtype == "double" else np.float32)
    return model(text, one=one, e=np.asarray(exponent))


@pytest.mark.parametrize(("exponent", "left"), FORMS.items())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forms(exponent, left, dtype):
    given = power(dtype(exponent))
    left = {"Abs": 1, "Add": 1, **left}
    check_rule(POWER, given, left, dims=SIZES, **CLOSE)
    check_shared(POWER, given, dims=SIZES, **CLOSE)


def test_exponents_of_other_dtypes_and_shapes():
    plain = {"Abs": 1, "Add": 1}
    check_rule(POWER, power(np.int64(2)), {**plain, "Mul": 1}, dims=SIZES, **CLOSE)
    check_rule(POWER, power(np.float32([[3]])), {**plain, "Mul": 2}, dims=SIZES, **CLOSE)
    check_rule(POWER, power(np.float32([0.5]), "double"), {**plain, "Sqrt": 1}, dims=SIZES, **CLOSE)


def test_negative_numbers_have_squares_and_cubes():
    text = "g (float[b,5] x) => (float[b,5] y) { p = Pow(x, two) q = Pow(x, three) y = Add(p, q) }"
    given = model(text, two=np.float32(2), three=np.float32(3))
    check_rule(POWER, given, {"Mul": 3, "Add": 1}, dims=SIZES, **CLOSE)


@only_on_cpu("Pow of whole numbers is off by one there")
def test_integers():
    text = "g (int64[b,5] x) => (int64[b,5] y) { y = Pow(x, e) }"
    check_rule(POWER, model(text, e=np.int64(3)), {"Mul": 2}, dims=SIZES, atol=0, rtol=0)
    given = model(text, e=np.float32(0.5))
    check_miss(POWER, given, "roots and reciprocals are for floats (x: int64[b, 5])")


@pytest.mark.parametrize(
    ("exponent", "reason"),
    [
        (np.float32(1.7), "e: float[] is not 2, 3, 4, 0.5 or one of their inverses"),
        (np.float32([2, 3, 2, 3, 2]), "is not 2, 3, 4, 0.5"),
        (np.float32([[[2]]]), "the exponent has more axes than the value (e: float[1, 1, 1])"),
    ],
)
def test_near_misses(exponent, reason):
    text = "g (float[b,5] x) => (float[?,?,?] y) { y = Pow(x, e) }"
    text = text if exponent.ndim == 3 else text.replace("?,?,?", "b,5")
    check_miss(POWER, model(text, e=exponent), reason)


def test_a_computed_exponent_is_left_alone():
    text = "g (float[b,5] x, float e) => (float[b,5] y) { y = Pow(x, e) }"
    check_miss(POWER, model(text), "e: float[] is computed when the model runs")

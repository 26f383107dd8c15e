"""MatMul of operands that both broadcast."""

from __future__ import annotations

import pytest

from sardonyx.compiler.rules.select.crossing_matmul import CROSSING_MATMUL
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 1e-6, "rtol": 1e-6}
SIZES = [{"n": 3, "m": 3}, {"n": 3, "m": 4}, {"n": 1, "m": 4}, {"n": 3, "m": 1}]


def product(left: str, right: str, result: str):
    return model(
        f"g (float[{left}] x, float[{right}] w) => (float[{result}] y) {{"
        " r = Neg(x) y = MatMul(r, w) }"
    )


@pytest.mark.parametrize(
    ("left", "right", "result", "shapes"),
    [
        ("n,1,2,5", "1,m,5,4", "n,m,2,4", 1),
        ("1,n,2,5", "m,1,5,4", "m,n,2,4", 1),
        ("n,2,5", "m,1,5,4", "m,n,2,4", 1),
        ("m,1,2,5", "n,5,4", "m,n,2,4", 1),
        ("n,1,m,2,5", "1,m,1,5,4", "n,m,m,2,4", 1),
        ("3,1,2,5", "1,3,5,4", "3,3,2,4", 0),
        ("n,1,2,5", "1,3,5,4", "n,3,2,4", 0),
    ],
)
def test_one_operand_is_expanded(left, right, result, shapes):
    given = product(left, right, result)
    expected = {"Neg": 1, "Expand": 1, "MatMul": 1} | ({"Shape": 1, "Concat": 1} if shapes else {})
    check_rule(CROSSING_MATMUL, given, expected, dims=SIZES, **CLOSE)
    check_shared(CROSSING_MATMUL, given, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("left", "right", "result", "reason"),
    [
        ("n,m,2,5", "1,m,5,4", "n,m,2,4", "at most one operand is broadcast"),
        ("n,m,2,5", "n,m,5,4", "n,m,2,4", "at most one operand is broadcast"),
        ("1,1,2,5", "n,m,5,4", "n,m,2,4", "at most one operand is broadcast"),
        ("3,1,2,5", "1,4,5,4", "3,4,2,4", "they have different numbers of matrices"),
        ("2,5", "n,5,4", "n,2,4", "an operand is not known to have a batch"),
        ("n,2,5", "5,4", "n,2,4", "an operand is not known to have a batch"),
    ],
)
def test_what_is_right_as_it_is(left, right, result, reason):
    check_miss(CROSSING_MATMUL, product(left, right, result), reason)


def test_products_of_unknown_ranks_are_left_alone():
    given = model(
        """g (float[n,1,2,5] x, float[k,3,5,4] w, int64[r] s) => (float y) {
            a = Reshape(w, s) y = MatMul(x, a) }"""
    )
    check_miss(CROSSING_MATMUL, given, "an operand is not known to have a batch")

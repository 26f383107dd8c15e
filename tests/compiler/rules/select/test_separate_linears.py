"""Linear layers whose parts are read apart become one for each part, where rows are many."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.select import SELECTIONS
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

(SEPARATE_LINEARS,) = SELECTIONS["separate_linears"]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
WEIGHTS = {
    "w": normal(6, 9),
    "b": normal(9),
    "one": normal(1),
    "wide": normal(2, 1, 9),
    "cube": normal(2, 6, 9),
    "sizes": np.array([2, 3, 4]),
}
SPLITS = {
    "Split <axis = -1, num_outputs = 3> (a)": (3, 3, 3),
    "Split <axis = -1> (a, sizes)": (2, 3, 4),
}


def net(split="Split <axis = -1> (a, sizes)", bias="a = Add(m, b)", x="2,9,6", w="w"):
    parts = [f"y{i}" for i in range(len(SPLITS.get(split, "???")))]
    outputs = ", ".join(f"float[p,q,{part}size] {part}" for part in parts)
    return model(
        f"g (float[{x}] x) => ({outputs}) {{ m = MatMul(x, {w}) {bias} "
        f"{', '.join(parts)} = {split} }}",
        **WEIGHTS,
    )


@pytest.mark.parametrize("bias", ["a = Add(m, b)", "a = Add(b, m)", "a = Add(m, one)"])
@pytest.mark.parametrize("split", ["Split <axis = -1, num_outputs = 3> (a)", *list(SPLITS)[1:]])
def test_each_part_is_a_product_of_its_own(split, bias):
    given = net(split, bias)
    check_rule(SEPARATE_LINEARS, given, {"MatMul": 3, "Add": 3}, **CLOSE)
    check_shared(SEPARATE_LINEARS, given, **CLOSE)


def test_as_few_rows_as_pay():
    check_rule(SEPARATE_LINEARS, net(x="2,8,6"), {"MatMul": 3, "Add": 3}, **CLOSE)


def test_a_bias_may_be_missing():
    given = net("Split <axis = -1> (m, sizes)", bias="")
    check_rule(SEPARATE_LINEARS, given, {"MatMul": 3}, **CLOSE)


def test_the_last_part_may_be_smaller():
    given = model(
        """g (float[4,5,6] x) => (float[4,5,5] y, float[4,5,4] z) {
        m = MatMul(x, w) y, z = Split <axis = -1, num_outputs = 2> (m) }""",
        **WEIGHTS,
    )
    check_rule(SEPARATE_LINEARS, given, {"MatMul": 2}, **CLOSE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x": "1,15,6"}, "so few rows as 15 are faster in one product"),
        ({"x": "n,16,6"}, "the number of rows is not known (x: float[n, 16, 6])"),
        ({"bias": "a = Add(m, wide)"}, "the bias is no vector"),
        ({"w": "cube"}, "the weight is no matrix"),
    ],
)
def test_near_misses(changes, reason):
    check_miss(SEPARATE_LINEARS, net(**changes), reason)


def test_rows_that_are_split_stay():
    given = model(
        """g (float[2,18,6] x) => (float[2,9,9] y, float[2,9,9] z) {
        m = MatMul(x, w) y, z = Split <axis = 1, num_outputs = 2> (m) }""",
        **WEIGHTS,
    )
    check_miss(SEPARATE_LINEARS, given, "it is not the columns that are split")

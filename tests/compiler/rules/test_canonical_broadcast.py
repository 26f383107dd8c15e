"""What only broadcasts: matches, near misses, shared values, numerics."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.canonical_broadcast import RULES
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

BY_NAME = {rule.name: rule for rule in RULES}
EXACT = {"atol": 0, "rtol": 0}
SIZES = [{"b": 3, "s": 5}, {"b": 1, "s": 1}]
HELD = {
    "yes": np.ones((4, 1), bool),
    "no_": np.zeros((4, 1), bool),
    "some": np.array([[True], [True], [False], [True]]),
    "t": np.array(True),
    "f": np.array(False),
    "zero": np.array(0),
    "step": np.array(1),
    "less": np.array([-1]),
    "ax": np.array([1]),
    "two": np.array([0, 1]),
    "infinite": np.float32([-np.inf]),
    "low": np.float32(-2),
    "fl0": np.float32(0),
    "fours": np.zeros((4, 1), np.float32),
    "fives": np.zeros(5, np.float32),
    "wide": np.array([2, 1, 1]),
    "taller": np.zeros((3, 1, 1, 1), np.float32),
}


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ("z = And(n, yes)", {}),
        ("z = Or(no_, n)", {}),
        ("w = Expand(t, k) z = And(w, n)", {"Shape": 1}),
        ("w = Expand(f, k) z = Or(n, w)", {"Shape": 1}),
    ],
)
def test_and_true(body: str, made: dict[str, int]):
    text = f"""g (bool[b,1,s] x, bool[4,1] other) => (bool[b,4,s] y) {{
        k = Shape(other) n = Not(x) {body} y = Not(z) }}"""
    text = text if "k)" in body else text.replace("k = Shape(other)", "")
    rule = BY_NAME["and_true_expanded"]
    check_rule(rule, model(text, **HELD), {"Not": 2, "Expand": 1, **made}, dims=SIZES, **EXACT)
    check_shared(rule, model(text, **HELD), dims=SIZES, **EXACT)


def test_and_some():
    text = "g (bool[b,1,s] x) => (bool[b,4,s] y) { z = And(x, some) y = Not(z) }"
    check_miss(BY_NAME["and_true_expanded"], model(text, **HELD), "is not")


def test_and_of_what_may_be_no_boolean():
    text = """g (bool[b,1,s] x) => (bool[b,4,s] y) { o = local.Opaque(x) y = And(o, yes) }"""
    check_miss(BY_NAME["and_true_expanded"], model(text, **HELD), "it is not boolean (o")


COUNT = """g (bool[b,s] x) => (bool[s,1] y) { n = Shape<start = 1>(x) k = Squeeze(n)
    r = Range(zero, k, step) p = Unsqueeze(r, ax) z = TEST y = Not(z) }"""


@pytest.mark.parametrize(
    "test",
    [
        "GreaterOrEqual(p, zero)",
        "LessOrEqual(zero, p)",
        "Greater(p, less)",
        "Less(less, p)",
        "Less(p, zero)",
    ],
)
def test_places_are_no_less_than_the_first(test: str):
    made = {"Shape": 2, "Squeeze": 1, "Range": 1, "Unsqueeze": 1, "Expand": 1, "Not": 1}
    given = model(COUNT.replace("TEST", test), **HELD)
    check_rule(BY_NAME["counted_no_less"], given, made, dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("GreaterOrEqual(p, step)", "it may be less"),
        ("Greater(p, zero)", "it may be less"),
        ("GreaterOrEqual(p, two)", "it is compared with several numbers"),
        ("Greater(real, infinite)", "it is no whole number that it is compared with"),
    ],
)
def test_places_that_may_be_less(test: str, reason: str):
    text = COUNT.replace("TEST", test)
    text = text.replace("[s,1] y", "[s,2] y") if "two" in test else text
    text = text.replace("p = ", "real = Cast<to = 1>(n) p = ") if "real" in test else text
    check_miss(BY_NAME["counted_no_less"], model(text, **HELD), reason)


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ("z = Where(e, fl0, low)", {"Where": 1, "Not": 1}),
        ("c = Not(e) z = Cast<to = 1>(c)", {"Not": 2, "Cast": 1}),
    ],
)
def test_expand_comes_last(body: str, made: dict[str, int]):
    text = f"""g (bool[b,1,s] x, float[b,4,s] like) => (float[b,4,s] y) {{
        n = Not(x) k = Shape(like) e = Expand(n, k) {body} y = Neg(z) }}"""
    rule = BY_NAME["expand_later"]
    made = {"Shape": 1, "Expand": 1, "Neg": 1, **made}
    check_rule(rule, model(text, **HELD), made, dims=SIZES, **EXACT)


@pytest.mark.parametrize(
    ("body", "shape", "reason"),
    [
        ("z = Where(e, fl0, like)", "b,4,s", "another operand is no single number"),
        ("z = Where(e, fives, low)", "b,4,s", "another operand broadcasts"),
        ("z = Where(e, fours, low)", "b,4,s", "another operand is no single number"),
        ("z = Where(e, taller, low)", "3,b,4,s", "broadcasts the expanded one further"),
        ("u = Not(e) v = Cast<to = 1>(u) w = Cast<to = 1>(e) z = Add(v, w)", "b,4,s", "also read"),
    ],
)
def test_expand_stays(body: str, shape: str, reason: str):
    text = f"""g (bool[b,1,s] x, float[b,4,s] like) => (float[{shape}] y) {{
        n = Not(x) k = Shape(like) e = Expand(n, k) {body} y = Neg(z) }}"""
    check_miss(BY_NAME["expand_later"], model(text, **HELD), reason)

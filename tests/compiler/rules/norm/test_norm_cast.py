"""Casts around norms."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm.norm_cast import NORM_CAST
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

# One rounding to half precision more or less.
CLOSE = {"atol": 2e-3, "rtol": 2e-3}
SIZES = [{"b": 2}, {"b": 1}]
WEIGHTS = {
    "s": normal(4, dtype=np.float16).astype(np.float32),
    "t": normal(4, seed=1, dtype=np.float16).astype(np.float32),
    "third": np.float32([1, 2, 3, 1 / 3]),
    "large": np.float32([1, 2, 3, 1e6]),
}


def net(norm, source="float16", target="float16"):
    to = {"float16": 10, "float": 1, "double": 11}
    text = f"""g ({source}[b,3,4] x) => ({target}[b,3,4] y) {{
        c = Cast<to=1>(x) n = {norm} y = Cast<to={to[target]}>(n) }}"""
    return model(text, **WEIGHTS)


@pytest.mark.parametrize(
    "norm",
    ["RMSNormalization(c, s)", "LayerNormalization(c, s)", "LayerNormalization(c, s, t)"],
)
def test_the_norm_is_one_of_half_precision(norm):
    check_rule(NORM_CAST, net(norm), {norm.split("(")[0]: 1}, dims=SIZES, **CLOSE)


def test_a_cast_that_others_read_stays_for_them():
    text = """g (float16[b,4] x) => (float16[b,4] y, float[b,4] z) {
        c = Cast<to=1>(x) n = RMSNormalization(c, s) y = Cast<to=10>(n) z = Neg(c) }"""
    expected = {"RMSNormalization": 1, "Cast": 1, "Neg": 1}
    check_rule(NORM_CAST, model(text, **WEIGHTS), expected, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (net("RMSNormalization(c, third)"), "half precision cannot hold the scale"),
        (net("RMSNormalization(c, large)"), "half precision cannot hold the scale"),
        (net("LayerNormalization(c, s, third)"), "half precision cannot hold the bias"),
        (
            net("RMSNormalization(c, s)", target="double"),
            "the result is cast to DOUBLE, the input from FLOAT16",
        ),
        (
            net("RMSNormalization(c, s)", source="double", target="double"),
            "the result is cast to DOUBLE, the input from DOUBLE",
        ),
        (
            net("RMSNormalization(c, s)", source="double"),
            "the result is cast to FLOAT16, the input from DOUBLE",
        ),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(NORM_CAST, given, reason)


def test_an_input_in_single_precision():
    text = "g (float[b,4] x) => (float16[b,4] y) { n = RMSNormalization(x, s) y = Cast<to=10>(n) }"
    reason = "its input is no Cast to single precision"
    check_miss(NORM_CAST, model(text, **WEIGHTS), reason)


def test_shared_operands():
    check_shared(NORM_CAST, net("RMSNormalization(c, s)"), dims=SIZES, **CLOSE)

"""ONNX Runtime's own GELUs as those of ONNX."""

from __future__ import annotations

import pytest

from sardonyx.compiler.rules.activation.contrib_form import STANDARD_GELU, STANDARD_QUICK_GELU
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

# ONNX Runtime approximates the error function otherwise in one kernel than in the other.
NOISE = {"atol": 2e-6, "rtol": 1e-5}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("Gelu(r)", {"Gelu": 1}),
        ("FastGelu(r)", {"Gelu": 1}),
        ("FastGelu(r, c)", {"Gelu": 1, "Add": 1}),
        ("BiasGelu(r, c)", {"Gelu": 1, "Add": 1}),
    ],
)
def test_gelu(call, left):
    given = model(HEAD + f"{{ r = Neg(x) y = com.microsoft.{call} }}", c=normal(5))
    after = check_rule(STANDARD_GELU, given, {"Neg": 1} | left, dims=SIZES, **NOISE)
    is_fast = after.graph[-1].attributes["approximate"].as_string() == "tanh"
    assert is_fast is call.startswith("FastGelu")
    check_shared(STANDARD_GELU, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("QuickGelu(r)", {"Sigmoid": 1, "Mul": 2}),
        ("QuickGelu <alpha = 0.5> (r)", {"Sigmoid": 1, "Mul": 2}),
        ("QuickGelu <alpha = 1.0> (r)", {"Sigmoid": 1, "Mul": 1}),
    ],
)
def test_quick_gelu(call, left):
    given = model(HEAD + f"{{ r = Neg(x) y = com.microsoft.{call} }}")
    check_rule(STANDARD_QUICK_GELU, given, {"Neg": 1} | left, dims=SIZES, **NOISE)
    check_shared(STANDARD_QUICK_GELU, given, dims=SIZES, **NOISE)


def test_a_call_that_onnx_runtime_would_refuse_is_left_alone():
    given = model(HEAD + "{ y = com.microsoft.BiasGelu(x, c, c) }", c=normal(5))
    check_miss(STANDARD_GELU, given, "has more operands than the pattern")

"""SiLU and quick GELU as QuickGelu, a sum and GELU as BiasGelu or FastGelu."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.contrib import add_function_bodies
from sardonyx.compiler.rules.activation import RULES
from sardonyx.compiler.rules.select.gelu import BIAS_GELU, QUICK_GELU
from tests.support.models import clone, model, normal, random_feeds
from tests.support.rules import apply, check_miss, check_rule, check_shared, counts
from tests.support.run import run_reference

# The kernels approximate the exponential and the error function otherwise.
NOISE = {"atol": 2e-6, "rtol": 1e-5}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "


def net(lines: str, head: str = HEAD, dtype=np.float32, **weights) -> ir.Model:
    held = {"k": np.float32(1.702), "c": normal(5)} | weights
    return model(head + "{ " + lines + " }", **{n: a.astype(dtype) for n, a in held.items()})


def check_body(given: ir.Model, after: ir.Model) -> None:
    """The rewritten model gives the same where the contrib operator is not known."""
    add_function_bodies(after)
    feeds = random_feeds(given, SIZES[0])
    for a, b in zip(run_reference(given, feeds), run_reference(after, feeds), strict=True):
        np.testing.assert_allclose(b, a, **NOISE)


QUICK = [
    ("s = Sigmoid(x) y = Mul(x, s)", 1.0),
    ("s = Sigmoid(x) y = Mul(s, x)", 1.0),
    ("t = Mul(x, k) s = Sigmoid(t) y = Mul(x, s)", 1.702),
    ("t = Mul(k, x) s = Sigmoid(t) y = Mul(s, x)", 1.702),
]


@pytest.mark.parametrize(("lines", "alpha"), QUICK)
def test_quick_gelu(lines, alpha):
    given = net(lines)
    after = check_rule(QUICK_GELU, given, {"QuickGelu": 1}, dims=SIZES, **NOISE)
    assert after.graph[0].attributes["alpha"].as_float() == np.float32(alpha)
    check_shared(QUICK_GELU, given, dims=SIZES, **NOISE)
    check_body(given, after)


@pytest.mark.parametrize("axes", [(1,), (1, 1)])
def test_a_factor_with_axes(axes):
    given = net(QUICK[2][0], k=np.full(axes, 1.702))
    check_rule(QUICK_GELU, given, {"QuickGelu": 1}, dims=SIZES, **NOISE)


def test_a_factor_of_a_value_of_unknown_rank():
    given = net(QUICK[2][0])
    given.graph.inputs[0].shape = given.graph.outputs[0].shape = None
    check_miss(QUICK_GELU, given, "the factor has more axes than the value")


def test_a_squeeze_excite_gate_is_no_silu():
    text = "g (float[b,5] x, float[b,5] z) => (float[b,5] y) "
    given = net("s = Sigmoid(z) y = Mul(x, s)", text)
    check_miss(QUICK_GELU, given, "z: float[b, 5] is not the 'x' seen before, x: float[b, 5]")


def test_other_factors_are_refused():
    lines = QUICK[2][0]
    reason = "the factor differs from element to element (k: float[5])"
    check_miss(QUICK_GELU, net(lines, k=normal(5)), reason)
    head = HEAD.replace("[b,5] y", "[1,b,5] y")
    reason = "the factor has more axes than the value (k: float[1, 1, 1])"
    check_miss(QUICK_GELU, net(lines, head, k=normal(1, 1, 1)), reason)


def test_double_precision_is_refused():
    given = net(QUICK[0][0], HEAD.replace("float", "double"))
    check_miss(QUICK_GELU, given, "QuickGelu does not compute in this precision (x: double[b, 5])")
    given = net("a = Add(x, c) y = Gelu(a)", HEAD.replace("float", "double"), np.float64)
    check_miss(BIAS_GELU, given, "BiasGelu does not compute in this precision (x: double[b, 5])")


@pytest.mark.parametrize("terms", ["x, c", "c, x"])
@pytest.mark.parametrize(
    ("gelu", "made"), [("Gelu", "BiasGelu"), ('Gelu <approximate = "tanh">', "FastGelu")]
)
def test_bias_gelu(gelu, made, terms):
    given = net(f"a = Add({terms}) y = {gelu}(a)")
    after = check_rule(BIAS_GELU, given, {made: 1}, dims=SIZES, **NOISE)
    assert after.graph[0].domain == "com.microsoft"
    check_shared(BIAS_GELU, given, dims=SIZES, **NOISE)


def test_half_precision():
    given = net("a = Add(x, c) y = Gelu(a)", HEAD.replace("float", "float16"), np.float16)
    check_rule(BIAS_GELU, given, {"BiasGelu": 1}, dims=SIZES, atol=4e-3, rtol=4e-3)


def test_a_bias_that_is_computed_will_do():
    given = net("a = Add(x, b) y = Gelu(a)", "g (float[n,5] x, float[5] b) => (float[n,5] y) ")
    check_rule(BIAS_GELU, given, {"BiasGelu": 1}, dims={"n": 3}, **NOISE)
    given = net("a = Add(x, b) y = Gelu(a)", "g (float[3,n] x, float[n] b) => (float[3,n] y) ")
    check_rule(BIAS_GELU, given, {"BiasGelu": 1}, dims={"n": 4}, **NOISE)


@pytest.mark.parametrize(
    ("head", "bias", "reason"),
    [
        (HEAD, normal(1, 5), "what is added is no vector (c: float[1, 5])"),
        (HEAD, normal(1), "the last axis is not known to have the bias's 1 elements"),
        ("g (float[b,n] x) => (float[b,5] y) ", normal(5), "not known to have the bias's 5 eleme"),
        ("g (float x) => (float[5] y) ", normal(5), "not known to have the bias's 5 elements"),
        ("g (float[5,1] x) => (float[5,5] y) ", normal(5), "not known to have the bias's 5 eleme"),
    ],
)
def test_other_sums_are_refused(head, bias, reason):
    check_miss(BIAS_GELU, net("a = Add(x, c) y = Gelu(a)", head, c=bias), reason)


def test_two_vectors_are_a_bias_and_a_value():
    given = net("a = Add(x, z) y = Gelu(a)", "g (float[5] x, float[5] z) => (float[5] y) ")
    check_rule(BIAS_GELU, given, {"BiasGelu": 1}, **NOISE)


@pytest.mark.parametrize("lines", ["a = Add(x, c) y = Gelu(a)", QUICK[0][0], QUICK[2][0]])
def test_what_is_selected_is_recognised_again(lines):
    given = net(lines)
    after = clone(given)
    apply((QUICK_GELU, BIAS_GELU), after)
    apply(RULES, after)
    assert counts(after) == counts(given)

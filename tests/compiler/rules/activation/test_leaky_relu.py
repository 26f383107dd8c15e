"""LeakyRelu and PRelu from comparisons, maxima and Relus."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.activation.leaky_relu import LEAKY_RELU, PRELU_TO_LEAKY_RELU
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

EXACT = {"atol": 0, "rtol": 1e-7}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "
SLOPES = np.float32([0.1, 0.9, 0, 1, 0.5])


def net(lines: str, head: str = HEAD, dtype=np.float32, **numbers) -> ir.Model:
    held = {"zero": 0, "minus": -1, "one": 1, "a": 0.1, "per": SLOPES} | numbers
    return model(head + "{ " + lines + " }", **{k: np.asarray(v, dtype) for k, v in held.items()})


SPELLINGS = [
    "m = Mul(x, a) c = Greater(x, zero) y = Where(c, x, m)",
    "m = Mul(a, x) c = GreaterOrEqual(x, zero) y = Where(c, x, m)",
    "m = Mul(x, a) c = Less(x, zero) y = Where(c, m, x)",
    "m = Mul(x, a) c = LessOrEqual(x, zero) y = Where(c, m, x)",
    "m = Mul(x, a) y = Max(x, m)",
    "m = Mul(a, x) y = Max(m, x)",
    "p = Relu(x) n = Neg(x) q = Relu(n) m = Mul(q, a) y = Sub(p, m)",
    "p = Relu(x) n = Mul(x, minus) q = Relu(n) m = Mul(a, q) y = Sub(p, m)",
    "p = Relu(x) n = Neg(x) q = Relu(n) m = Mul(q, a) y = Add(p, m)",
    "p = Relu(x) n = Neg(x) q = Relu(n) m = Mul(a, q) y = Add(m, p)",
]


@pytest.mark.parametrize("lines", SPELLINGS)
def test_leaky_relu(lines):
    check_rule(LEAKY_RELU, net(lines), {"LeakyRelu": 1}, dims=SIZES, **EXACT)
    check_shared(LEAKY_RELU, net(lines), dims=SIZES, **EXACT)


@pytest.mark.parametrize("lines", SPELLINGS)
def test_a_slope_per_channel_is_prelu(lines):
    given = net(lines.replace("a)", "per)").replace("(a,", "(per,"))
    check_rule(LEAKY_RELU, given, {"PRelu": 1}, dims=SIZES, **EXACT)


def test_the_sign_of_the_slope_is_that_of_the_sum():
    after = check_rule(LEAKY_RELU, net(SPELLINGS[8]), {"LeakyRelu": 1}, dims=SIZES, **EXACT)
    assert after.graph[0].attributes["alpha"].as_float() == np.float32(-0.1)


def test_double_precision_is_kept():
    reason = "ONNX Runtime has no kernel of it in double precision (x: double[b, 5])"
    given = net(SPELLINGS[0], HEAD.replace("float", "double"), np.float64)
    check_miss(LEAKY_RELU, given, reason)
    given = net("y = PRelu(x, a)", HEAD.replace("float", "double"), np.float64)
    check_miss(PRELU_TO_LEAKY_RELU, given, reason)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (SPELLINGS[0].replace("zero", "one"), "one: float[] is not 0"),
        (SPELLINGS[7].replace("minus", "one"), "one: float[] is not -1"),
        ("m = Mul(x, one) p = Neg(x) y = Max(p, m)", "is not the 'x' seen before"),
    ],
)
def test_other_numbers_are_refused(lines, reason):
    check_miss(LEAKY_RELU, net(lines), reason)


@pytest.mark.parametrize("slope", [1.5, -0.5, [0.5, 0.5, 1.5, 0.5, 0.5], [0.5, -0.5, 0, 1, 1]])
def test_a_maximum_with_a_steep_line_is_refused(slope):
    reason = "the slope is not between 0 and 1 (a: float["
    check_miss(LEAKY_RELU, net(SPELLINGS[4], a=slope), reason)


@pytest.mark.parametrize("slope", [1.5, -0.5])
@pytest.mark.parametrize("lines", [s for s in SPELLINGS if "Max" not in s])
def test_a_steep_line_is_fine_elsewhere(lines, slope):
    check_rule(LEAKY_RELU, net(lines, a=slope), {"LeakyRelu": 1}, dims=SIZES, **EXACT)


def test_slopes_that_add_axes_are_refused():
    head = HEAD.replace("[b,5] y", "[1,b,5] y")
    reason = "a constant has more axes than the value (x: float[b, 5])"
    check_miss(LEAKY_RELU, net(SPELLINGS[0], head, a=[[[0.1]]]), reason)


def test_integers_are_refused():
    given = net(SPELLINGS[0], HEAD.replace("float", "int32"), np.int32)
    check_miss(LEAKY_RELU, given, "it does not compute in floats (x: int32[b, 5])")


@pytest.mark.parametrize("slope", [0.1, [0.1], [[0.1]], [0.1] * 5])
def test_prelu_of_one_slope_is_leaky_relu(slope):
    given = net("y = PRelu(x, a)", a=slope)
    check_rule(PRELU_TO_LEAKY_RELU, given, {"LeakyRelu": 1}, dims=SIZES, **EXACT)


def test_prelu_of_many_slopes_is_left_alone():
    check_miss(PRELU_TO_LEAKY_RELU, net("y = PRelu(x, per)"), "the slopes differ (per: float[5])")
    given = net("y = PRelu(x, a)", HEAD.replace("float", "int32"), np.int32)
    check_miss(PRELU_TO_LEAKY_RELU, given, "it does not compute in floats")


def test_no_slopes_at_all_are_left_alone():
    given = model(
        "g (float[0,5] x) => (float[0,5] y) { y = PRelu(x, none) }",
        none=np.zeros((0, 5), np.float32),
    )
    check_miss(PRELU_TO_LEAKY_RELU, given, "the slopes differ")

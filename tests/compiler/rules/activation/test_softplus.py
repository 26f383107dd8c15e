"""Softplus from its parts, and Mish from Softplus."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.activation.softplus import MISH, SOFTPLUS, SOFTPLUS_THRESHOLD
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 1e-6, "rtol": 1e-6}
SIZES = [{"b": 40}, {"b": 1}]
HEAD = "g (float[b,5] x) => (float[b,5] y) "
THRESHOLD = "p = Softplus(x) c = Greater(x, top) y = Where(c, x, p)"


def net(lines: str, head: str = HEAD, dtype=np.float32, **numbers) -> ir.Model:
    held = {"one": 1, "two": 2, "top": 20, "wide": [[[1]]]} | numbers
    return model(head + "{ " + lines + " }", **{k: np.asarray(v, dtype) for k, v in held.items()})


@pytest.mark.parametrize("total", ["Add(e, one)", "Add(one, e)"])
def test_softplus(total):
    given = net(f"e = Exp(x) s = {total} y = Log(s)")
    check_rule(SOFTPLUS, given, {"Softplus": 1}, dims=SIZES, **NOISE)
    check_shared(SOFTPLUS, given, dims=SIZES, **NOISE)


def test_other_logarithms_are_refused():
    given = net("e = Exp(x) s = Add(e, two) y = Log(s)")
    check_miss(SOFTPLUS, given, "two: float[] is not 1")
    head = HEAD.replace("[b,5] y", "[1,b,5] y")
    given = net("e = Exp(x) s = Add(e, wide) y = Log(s)", head)
    check_miss(SOFTPLUS, given, "a constant has more axes than the value (x: float[b, 5])")


@pytest.mark.parametrize("condition", ["Greater(x, top)", "Less(top, x)"])
def test_a_threshold_past_rounding_is_dropped(condition):
    given = net(THRESHOLD.replace("Greater(x, top)", condition))
    check_rule(SOFTPLUS_THRESHOLD, given, {"Softplus": 1}, dims=SIZES, **NOISE)
    check_shared(SOFTPLUS_THRESHOLD, given, dims=SIZES, **NOISE)


def test_the_values_around_the_threshold_are_the_same():
    from tests.support.rules import apply
    from tests.support.run import run_ort

    given, after = net(THRESHOLD), net(THRESHOLD)
    apply(SOFTPLUS_THRESHOLD, after)
    feeds = {"x": np.linspace(15, 120, 200, dtype=np.float32).reshape(40, 5)}
    np.testing.assert_array_equal(run_ort(after, feeds), run_ort(given, feeds))


def test_the_least_threshold_that_changes_nothing():
    """exp(-14) is 8.32e-7, and half the distance between two float32 numbers there 8.35e-7."""
    check_rule(SOFTPLUS_THRESHOLD, net(THRESHOLD, top=14), {"Softplus": 1}, dims=SIZES, **NOISE)
    check_miss(SOFTPLUS_THRESHOLD, net(THRESHOLD, top=13.99), "at the threshold 13.99")
    given = net(THRESHOLD, top=[[[14]]], head=HEAD.replace("[b,5]", "[1,b,5]"))
    check_rule(SOFTPLUS_THRESHOLD, given, {"Softplus": 1}, dims=SIZES, **NOISE)


def test_a_threshold_that_changes_values_is_kept():
    reason = "Softplus(x) is not x yet at the threshold 10 (x: float[b, 5])"
    check_miss(SOFTPLUS_THRESHOLD, net(THRESHOLD, top=10), reason)
    for top in (-1, 0, -1000, np.nan):
        check_miss(SOFTPLUS_THRESHOLD, net(THRESHOLD, top=top), f"at the threshold {top}")
    check_miss(SOFTPLUS_THRESHOLD, net(THRESHOLD, top=[20, 20, 10, 20, 20]), "threshold 10")
    given = net(THRESHOLD, HEAD.replace("float", "double"), np.float64)
    check_miss(SOFTPLUS_THRESHOLD, given, "no kernel of it in double precision (x: double[b, 5])")
    given = net(THRESHOLD, HEAD.replace("[b,5] y", "[1,b,5] y"), top=[[[20]]])
    check_miss(SOFTPLUS_THRESHOLD, given, "a constant has more axes than the value")


@pytest.mark.parametrize("last", ["Mul(x, t)", "Mul(t, x)"])
def test_mish(last):
    given = net(f"p = Softplus(x) t = Tanh(p) y = {last}")
    check_rule(MISH, given, {"Mish": 1}, dims=SIZES, **NOISE)
    check_shared(MISH, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize(
    "lines",
    [
        "e = Exp(x) s = Add(e, one) p = Log(s) t = Tanh(p) y = Mul(x, t)",
        THRESHOLD.replace("y =", "w =") + " t = Tanh(w) y = Mul(x, t)",
    ],
)
def test_mish_from_all_its_parts(lines):
    rules = (SOFTPLUS, SOFTPLUS_THRESHOLD, MISH)
    check_rule(rules, net(lines), {"Mish": 1}, dims=SIZES, **NOISE)


def test_another_factor_than_x_is_no_mish():
    text = HEAD.replace(") =>", ", float[b,5] z) =>")
    given = net("p = Softplus(x) t = Tanh(p) y = Mul(z, t)", text)
    check_miss(MISH, given, "is not the 'x' seen before, z: float[b, 5]")

"""A sum and a norm as one kernel."""

from __future__ import annotations

import pytest

from sardonyx.compiler.rules.select.skip_norm import SKIP_NORM
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 4e-6, "rtol": 4e-6}
SIZES = [{"n": 2, "s": 3}, {"n": 1, "s": 1}]
WEIGHTS = {
    "scale": positive(4, seed=1),
    "beta": normal(4, seed=2),
    "bias": normal(4, seed=3),
    "bias3": normal(1, 1, 4, seed=4),
    "rows": normal(3, 1, seed=5),
    "one": normal(1, seed=6),
    "table": positive(3, 4, seed=7),
    "single": positive(1, seed=8),
    "wide": normal(1, 4, seed=9),
}
HEAD = "g (float[n,s,4] a, float[n,s,4] b) => (float[n,s,4] y) "
LAYER = "LayerNormalization<epsilon=0.01>(u, scale, beta)"
PLAIN = "LayerNormalization(u, scale)"
RMS = "RMSNormalization<epsilon=0.01>(u, scale)"
SUM = "u = Add(a, b)"
BIASED = "p = Add(a, bias) u = Add(p, b)"


def net(before=SUM, norm=LAYER, after="", head=HEAD):
    return model(f"{head}{{ {before} y = {norm} {after} }}", **WEIGHTS)


def kernel(norm):
    return "SkipLayerNormalization" if "Layer" in norm else "SkipSimplifiedLayerNormalization"


@pytest.mark.parametrize("norm", [LAYER, PLAIN, RMS])
@pytest.mark.parametrize("before", [SUM, BIASED, "p = Add(bias3, a) u = Add(b, p)"])
def test_a_sum_and_a_norm_are_one_kernel(before, norm):
    check_rule(SKIP_NORM, net(before, norm), {kernel(norm): 1}, dims=SIZES, **CLOSE)
    check_shared(SKIP_NORM, net(before, norm), dims=SIZES, **CLOSE)


@pytest.mark.parametrize("norm", [LAYER, PLAIN, RMS])
@pytest.mark.parametrize("before", [SUM, BIASED])
def test_the_sum_comes_out_of_it(before, norm):
    head = HEAD.replace("y)", "y, float[n,s,4] z)")
    given = net(before, norm, "z = Neg(u)", head)
    check_rule(SKIP_NORM, given, {kernel(norm): 1, "Neg": 1}, dims=SIZES, **CLOSE)
    given = net(before, norm, "", head.replace("z)", "u)"))
    check_rule(SKIP_NORM, given, {kernel(norm): 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("bias", ["rows", "one"])
def test_another_constant_is_added_before(bias):
    given = net(f"p = Add(a, {bias}) u = Add(p, b)", head=HEAD.replace("s,4", "3,4"))
    expected = {"Add": 1, "SkipLayerNormalization": 1}
    check_rule(SKIP_NORM, given, expected, dims=SIZES, **CLOSE)


def test_layers_with_norms_in_front():
    text = """g (float[n,s,4] a, float[n,s,4] b) => (float[n,s,4] y) {
        u = Add(a, b) h = LayerNormalization(u, scale, beta) k = Relu(h) p = Add(k, bias)
        v = Add(p, u) i = LayerNormalization(v, scale, beta) l = Tanh(i) y = Add(l, v) }"""
    expected = {"SkipLayerNormalization": 2, "Relu": 1, "Tanh": 1, "Add": 1}
    check_rule(SKIP_NORM, model(text, **WEIGHTS), expected, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("given", "rule", "reason"),
    [
        (
            net(head=HEAD.replace("float[n,s,4] b", "float[n,1,4] b")),
            "skip_norm",
            "the sum is not known to be of two sequences of one shape",
        ),
        (
            net(head=HEAD.replace("n,s,", "n,")),
            "skip_norm",
            "the sum is not known to be of two sequences of one shape",
        ),
        (
            net(norm="LayerNormalization<axis=1>(u, table)", head=HEAD.replace("s,4", "3,4")),
            "skip_norm",
            "the scale of the norm is not one of each channel",
        ),
        (
            net(
                after="z = Relu(u) v = RMSNormalization(u, scale)",
                head=HEAD[:-2] + ", float[n,s,4] z, float[n,s,4] v) ",
            ),
            "skip_norm_sum",
            "2 norms read the sum, not one",
        ),
        (
            model(
                "g (float[n,s,4] a) => (float[n,s,4] y) { y = RMSNormalization(a, scale) }",
                **WEIGHTS,
            ),
            "norm_of_sum",
            "its input is no sum that a fused norm gives",
        ),
    ],
)
def test_refuses_with_a_reason(given, rule, reason):
    check_miss(SKIP_NORM, given, reason, rule)


def test_a_scale_that_is_one_number_stays():
    given = net(norm="RMSNormalization(u, single)")
    check_miss(SKIP_NORM, given, "the scale of the norm is not one of each channel", "skip_norm")


def test_a_sum_that_only_the_norm_reads_stays_inside():
    check_miss(SKIP_NORM[1], net(), "nothing but the norm reads the sum")


def test_another_norm_of_the_sum_stays():
    text = (
        HEAD.replace("y)", "n, float[n,s,4] y)")
        + """{
        n, e, f, u = com.microsoft.SkipLayerNormalization(a, b, scale, beta)
        y = LayerNormalization(u, beta, scale) }"""
    )
    given = model(text, **WEIGHTS)
    check_miss(SKIP_NORM, given, "the fused norm has another scale, bias or epsilon", "norm_of_sum")


def test_double_precision_stays():
    text = HEAD.replace("float[", "double[") + f"{{ {SUM} y = {RMS} }}"
    given = model(text, scale=positive(4, dtype="float64"))
    check_miss(SKIP_NORM, given, "the kernel is for floats of 16 and 32 bits", "skip_norm")


def test_a_shift_with_another_axis_stays():
    given = net(norm="LayerNormalization(u, scale, wide)")
    check_miss(SKIP_NORM, given, "the scale of the norm is not one of each channel", "skip_norm")


def test_a_scale_of_another_dtype_stays():
    text = HEAD.replace("float[", "float16[") + f"{{ {SUM} y = {RMS} }}"
    given = model(text, scale=WEIGHTS["scale"])
    check_miss(SKIP_NORM, given, "the scale of the norm has another dtype", "skip_norm")


def test_a_norm_that_has_the_sum_for_its_scale_is_none_of_it():
    head = "g (float[2,3,4] a, float[2,3,4] b) => (float[2,3,4] y, float[2,3,4] z) "
    other = "z = RMSNormalization<axis=0>(a, u)"
    expected = {"SkipLayerNormalization": 1, "RMSNormalization": 1}
    check_rule(SKIP_NORM, net(after=other, head=head), expected, **CLOSE)
    given = model(f"{head}{{ {SUM} y = Neg(u) {other} }}", **WEIGHTS)
    check_miss(SKIP_NORM, given, "0 norms read the sum, not one", "skip_norm_sum")


def test_another_shift_than_that_of_the_fused_norm_stays():
    text = (
        HEAD.replace("y)", "n, float[n,s,4] y)")
        + """{
        n, e, f, u = com.microsoft.SkipLayerNormalization<epsilon=0.01>(a, b, scale, beta)
        y = LayerNormalization<epsilon=0.01>(u, scale, bias) }"""
    )
    given = model(text, **WEIGHTS)
    reason = "the fused norm has another scale, bias or epsilon"
    check_miss(SKIP_NORM, given, reason, "norm_of_sum")
    given = model(text.replace("bias)", "beta)").replace("0.01>(u", "0.02>(u"), **WEIGHTS)
    check_miss(SKIP_NORM, given, reason, "norm_of_sum")
    given = model(text.replace("scale, bias)", "bias, beta)"), **WEIGHTS)
    check_miss(SKIP_NORM, given, reason, "norm_of_sum")
    given = model(text.replace("bias)", "beta)"), **WEIGHTS)
    expected = {"SkipLayerNormalization": 1, "Identity": 1}
    check_rule(SKIP_NORM, given, expected, dims=SIZES, **CLOSE)


def test_a_layer_norm_of_the_sum_of_an_rms_norm_stays():
    text = (
        HEAD.replace("y)", "n, float[n,s,4] y)")
        + """{
        n, e, f, u = com.microsoft.SkipSimplifiedLayerNormalization<epsilon=0.01>(a, b, scale)
        y = LayerNormalization<epsilon=0.01>(u, scale) }"""
    )
    given = model(text, **WEIGHTS)
    check_miss(SKIP_NORM, given, "its input is no sum that a fused norm gives", "norm_of_sum")
    given = model(text.replace("Simplified", "").replace("(u, ", "(n, "), **WEIGHTS)
    check_miss(SKIP_NORM, given, "its input is no sum that a fused norm gives", "norm_of_sum")


def test_a_norm_whose_mean_is_read_stays():
    head = HEAD.replace("y)", "y, float[n,s,1] mean, float[n,s,4] z)")
    given = model(f"{head}{{ {SUM} y, mean = {LAYER} z = Neg(u) }}", **WEIGHTS)
    check_miss(SKIP_NORM, given, "norms read the sum, not one", "skip_norm_sum")


def test_a_shift_that_is_left_out():
    given = net(norm="LayerNormalization(u, scale, )")
    check_rule(SKIP_NORM, given, {"SkipLayerNormalization": 1}, dims=SIZES, **CLOSE)

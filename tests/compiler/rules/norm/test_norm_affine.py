"""Scales and shifts after norms go into these."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm.norm_affine import NORM_AFFINE
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

# One product is rounded where two were.
CLOSE = {"atol": 4e-6, "rtol": 4e-6}
SIZES = [{"b": 2, "h": 3}, {"b": 1, "h": 2}]
LAYER = "LayerNormalization<epsilon=0.01>(x, s)"
LAYER_BIAS = "LayerNormalization<epsilon=0.01>(x, s, t)"
RMS = "RMSNormalization<epsilon=0.01>(x, s)"
GROUP = "GroupNormalization<num_groups=2, epsilon=0.01>(x, s, t)"
INSTANCE = "InstanceNormalization<epsilon=0.01>(x, s, t)"
WEIGHTS = {
    "s": normal(4, seed=1),
    "t": normal(4, seed=2),
    "k": positive(4, seed=3),
    "wide": positive(1, 1, 4, seed=4),
    "pixel": positive(4, 1, 1, seed=5),
    "number": np.float32(3),
    "rows": positive(3, 1, seed=6),
    "long": positive(1, 1, 1, 1, 4, seed=7),
}


def net(norm, step, shape="b,3,4", result=None, **more):
    text = f"g (float[{shape}] x) => (float[{result or shape}] y) {{ n = {norm} y = {step} }}"
    return model(text, **(WEIGHTS | more))


STEPS = ["Mul(n, k)", "Mul(wide, n)", "Div(n, k)", "Mul(n, number)"]
SHIFTS = ["Add(n, k)", "Add(wide, n)", "Sub(n, k)", "Sub(k, n)", "Add(n, number)"]


@pytest.mark.parametrize("norm", [LAYER, LAYER_BIAS])
@pytest.mark.parametrize("step", STEPS + SHIFTS)
def test_into_a_layer_norm(norm, step):
    check_rule(NORM_AFFINE, net(norm, step), {"LayerNormalization": 1}, dims=SIZES, **CLOSE)


def test_a_shift_that_is_0_for_some():
    given = net(LAYER, "Add(n, k)", k=np.float32([0, 1, 2, 0]))
    check_rule(NORM_AFFINE, given, {"LayerNormalization": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("step", STEPS)
def test_into_an_rms_norm(step):
    check_rule(NORM_AFFINE, net(RMS, step), {"RMSNormalization": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("norm", [GROUP, INSTANCE])
@pytest.mark.parametrize("step", ["Mul(n, pixel)", "Add(pixel, n)", "Div(n, number)"])
def test_into_norms_of_channels(norm, step):
    given = net(norm, step, shape="b,4,h,5")
    check_rule(NORM_AFFINE, given, {norm.split("<")[0]: 1}, dims=SIZES, **CLOSE)


def test_into_a_norm_over_two_axes():
    weights = {"s": normal(3, 4), "t": normal(3, 4, seed=1)}
    norm = "LayerNormalization<axis=1, epsilon=0.01>(x, s, t)"
    for step in ["Mul(n, rows)", "Add(n, wide)", "Mul(n, number)"]:
        given = net(norm, step, **weights)
        check_rule(NORM_AFFINE, given, {"LayerNormalization": 1}, dims=SIZES, **CLOSE)


def test_a_bias_with_more_axes_than_the_scale():
    """ONNX Runtime takes it; what is folded has the shape of the scale."""
    given = net(LAYER_BIAS, "Mul(n, k)", t=normal(1, 4))
    check_miss(NORM_AFFINE, given, "the norm's bias has another shape than its scale (t: ")


@pytest.mark.parametrize("step", ["Mul(p, pixel)", "Add(p, pixel)", "Add(p, number)"])
def test_behind_a_transpose(step):
    norm = LAYER + " p = Transpose<perm=[0,3,1,2]>(n)"
    given = net(norm, step, shape="b,h,5,4", result="b,4,h,5")
    expected = {"LayerNormalization": 1, "Transpose": 1}
    check_rule(NORM_AFFINE, given, expected, dims=SIZES, **CLOSE)


def test_a_scale_then_a_shift():
    text = """g (float[b,3,4] x) => (float[b,3,4] y) {
        n = LayerNormalization(x, s) m = Mul(k, n) y = Add(m, wide) }"""
    check_rule(NORM_AFFINE, model(text, **WEIGHTS), {"LayerNormalization": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            net(LAYER, "Mul(n, rows)"),
            "the constant differs along other axes than the norm's scale does (rows: float[3, 1])",
        ),
        (
            net(LAYER, "Mul(n, wide)", shape="b,4", result="1,b,4"),
            "the constant has more axes than the 2 of the norm",
        ),
        (
            net(GROUP, "Mul(n, k)", shape="b,4,h,4"),
            "the constant differs along other axes than the norm's scale does",
        ),
        (
            net(LAYER + " p = Transpose(n)", "Mul(p, k)", shape="3,4", result="4,3", k=positive(3)),
            "the Transpose after the norm has no order",
        ),
        (net(LAYER, "Mul(n, x)"), "is computed when the model runs"),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(NORM_AFFINE, given, reason)


def test_what_the_dtype_cannot_hold():
    text = "g (float16[b,4] x) => (float16[b,4] y) { n = LayerNormalization(x, s) y = Mul(n, k) }"
    given = model(text, s=np.float16([300] * 4), k=np.float16([300] * 4))
    check_miss(NORM_AFFINE, given, "the folded constant has elements that float16 cannot hold")


def test_shared_operands():
    check_shared(NORM_AFFINE, net(LAYER, "Mul(n, k)"), dims=SIZES, **CLOSE)

"""Batch norm next to a scale or a shift."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.batch_norm_affine import AFFINE_BATCH_NORM, BATCH_NORM_AFFINE
from tests.support.models import batch_norm_weights, model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

NOISE = {"atol": 2e-5, "rtol": 1e-5}
SIZES = [{"b": 2, "h": 5}, {"b": 1, "h": 1}]
STEPS = ["Mul(a, k)", "Div(a, k)", "Add(k, a)", "Sub(a, k)", "Sub(k, a)"]
HEAD = "g (float[b,4,6,h] x) => (float[b,4,6,h] y) "


def after(step: str, head: str = HEAD, **weights):
    text = head + f"{{ a = BatchNormalization(x, s, t, m, v) y = {step} }}"
    return model(text, **{**batch_norm_weights(4), **weights})


def before(step: str, head: str = HEAD, **weights):
    step = step.replace("a,", "x,").replace(" a)", " x)")
    text = head + f"{{ p = {step} y = BatchNormalization(p, s, t, m, v) }}"
    return model(text, **{**batch_norm_weights(4), **weights})


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), ()])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("make", "rule"), [(after, BATCH_NORM_AFFINE), (before, AFFINE_BATCH_NORM)]
)
def test_one_batch_norm_is_left(make, rule, step, shape):
    given = make(step, k=positive(*shape))
    check_rule(rule, given, {"BatchNormalization": 1}, dims=SIZES, **NOISE)
    check_shared(rule, given, dims=SIZES, **NOISE)


@pytest.mark.parametrize("step", STEPS)
def test_images_need_no_pixels(step):
    head = "g (float[b,4] x) => (float[b,4] y) "
    given = after(step, head, k=positive(4))
    check_rule(BATCH_NORM_AFFINE, given, {"BatchNormalization": 1}, dims=SIZES, **NOISE)


BOTH = [(after, BATCH_NORM_AFFINE), (before, AFFINE_BATCH_NORM)]


@pytest.mark.parametrize(("make", "rule"), BOTH)
def test_a_constant_along_another_axis_is_refused(make, rule):
    given = make("Mul(a, k)", k=normal(6, 1))
    check_miss(rule, given, "the constant differs along axis 2, channels are axis 1")


@pytest.mark.parametrize(("make", "rule"), BOTH)
def test_unknown_channels_are_refused(make, rule):
    head = "g (float[b,c,6,h] x) => (float[b,4,6,h] y) "
    given = make("Mul(a, k)", head, k=normal(4, 1, 1))
    check_miss(rule, given, "the input is not known to have 4 channels (x: float[b, c, 6, h])")


@pytest.mark.parametrize(("make", "rule"), BOTH)
def test_numbers_without_channels_are_refused(make, rule):
    head = "g (float[b] x) => (float[b] y) "
    given = make("Mul(a, k)", head, k=np.float32(2), **batch_norm_weights(1))
    check_miss(rule, given, "the input is not known to have channels (x: float[b])")


def test_channels_that_the_constant_makes_are_refused():
    head = "g (float[b,1,6,h] x) => (float[b,4,6,h] y) "
    given = before("Add(a, k)", head, k=normal(4, 1, 1))
    check_miss(AFFINE_BATCH_NORM, given, "the input is not known to have 4 channels")


@pytest.mark.parametrize(("make", "rule"), BOTH)
def test_overflow_is_refused(make, rule):
    given = make("Mul(a, k)", k=np.float32(3e38), s=np.float32([1, 2, 3, 4]))
    check_miss(rule, given, "the folded constant has elements that float32 cannot hold")


def test_training_mode_is_refused():
    text = """g (float[2,4] x) => (float[2,4] y) {
        a, q, r = BatchNormalization <training_mode = 1> (x, s, t, m, v) y = Mul(a, k) }"""
    given = model(text, **batch_norm_weights(4), k=normal(4))
    check_miss(BATCH_NORM_AFFINE, given, "the batch norm is in training mode")

"""Biases of linear layers before post-norm residuals."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm import POST_NORM
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

# Sums of 5 products, in another order.
CLOSE = {"atol": 2e-5, "rtol": 2e-5}
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
WEIGHTS = {
    "gamma": positive(4, seed=1),
    "t": normal(4, seed=2),
    "w": normal(5, 4, seed=3),
    "bias": normal(4, seed=4),
    "v": normal(4, 3, seed=5),
    "c": normal(1, 1, 3, seed=6),
    "v2": normal(4, 6, seed=7),
    "c2": normal(6, seed=8),
    "stack": normal(2, 4, 3, seed=9),
    "number": np.float32(0.5),
    "square": normal(4, 4, seed=10),
    "gamma2": normal(2, 4, seed=11),
}
HEAD = "g (float[b,s,4] z, float[b,s,5] a) => (float[b,s,4] y, float[b,s,3] l) "
NORM = "r = LayerNormalization(z, gamma, t)"
RESIDUAL = "p = MatMul(a, w) q = Add(p, bias) y = Add(q, r)"
LINEAR = "k = MatMul(r, v) l = Add(k, c)"


def net(norm=NORM, residual=RESIDUAL, linear=LINEAR, head=HEAD):
    return model(f"{head}{{ {norm} {linear} {residual} }}", **WEIGHTS)


LEFT = {"LayerNormalization": 1, "MatMul": 2, "Add": 2}


@pytest.mark.parametrize("norm", [NORM, "r = LayerNormalization(z, gamma)"])
@pytest.mark.parametrize(
    "residual",
    [
        RESIDUAL,
        "p = MatMul(a, w) q = Add(bias, p) y = Add(r, q)",
        "p = MatMul(a, w) q = Add(p, number) y = Add(r, q)",
    ],
)
def test_the_bias_goes_into_the_norm(norm, residual):
    check_rule(POST_NORM, net(norm, residual), LEFT, dims=SIZES, **CLOSE)


def test_of_all_linear_layers_that_read_it():
    head = HEAD.replace("l)", "l, float[b,s,6] o)")
    given = net(linear=LINEAR + " k2 = MatMul(r, v2) o = Add(c2, k2)", head=head)
    check_rule(POST_NORM, given, {"LayerNormalization": 1, "MatMul": 3, "Add": 3}, **sized())


def sized():
    return {"dims": SIZES, **CLOSE}


def test_one_layer_after_the_other():
    text = """g (float[b,s,4] z) => (float[b,s,4] y) {
        r = LayerNormalization(z, gamma, t) k = MatMul(r, square) l = Add(k, bias) e = Gelu(l)
        p = MatMul(e, square) q = Add(p, bias) u = Add(q, r) r2 = LayerNormalization(u, gamma, t)
        k2 = MatMul(r2, square) l2 = Add(k2, bias) e2 = Gelu(l2)
        p2 = MatMul(e2, square) q2 = Add(p2, bias) u2 = Add(q2, r2)
        y = LayerNormalization(u2, gamma) }"""
    expected = {"LayerNormalization": 3, "MatMul": 4, "Add": 4, "Gelu": 2}
    check_rule(POST_NORM, model(text, **WEIGHTS), expected, **sized())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (net(linear="l = MatMul(r, v)"), "a linear layer that reads the norm has no bias"),
        (
            net(linear="k = MatMul(r, stack) l = Add(k, c)", head=HEAD.replace("b,s,3", "2,s,3")),
            "the norm is read by a MatMul that is no linear layer",
        ),
        (
            net(linear="h = Relu(r) k = MatMul(h, v) l = Add(k, c)"),
            "the norm is read by a Relu that is no linear layer",
        ),
        (
            net(residual="p = MatMul(a, w) y = Add(p, r)"),
            "0 sums of the norm and a linear layer read it, not one",
        ),
        (
            net(
                residual=RESIDUAL + " p2 = MatMul(a, w) q2 = Add(p2, bias) o = Add(q2, r)",
                head=HEAD.replace("l)", "l, float[b,s,4] o)"),
            ),
            "2 sums of the norm and a linear layer read it, not one",
        ),
        (
            net(
                residual=RESIDUAL + " o = Add(z, r)",
                head=HEAD.replace("l)", "l, float[b,s,4] o)"),
            ),
            "other sums read it",
        ),
        (
            net(
                norm="r = LayerNormalization<axis=1>(z, gamma2)",
                head=HEAD.replace("s", "2"),
            ),
            "the norm is over more than the last axis",
        ),
        (
            net(head=HEAD.replace("l)", "l, float[b,s,4] r)")),
            "the norm is an output of the graph",
        ),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(POST_NORM, given, reason, "residual_bias")


def test_a_bias_that_differs_along_the_sequence():
    text = "p = MatMul(a, w) q = Add(p, rows) y = Add(q, r)"
    given = model(
        f"{HEAD}{{ {NORM} {LINEAR} {text} }}".replace("b,s", "b,3"), rows=normal(3, 4), **WEIGHTS
    )
    check_miss(POST_NORM, given, "the constant differs along axis 1", "residual_bias")


@pytest.mark.parametrize(
    ("text", "rule", "reason"),
    [
        (
            "m = LayerNormalization(z, gamma) r = Add(m, t) p = MatMul(a, w) q = Add(p, bias) "
            "y = Add(q, r) l = Relu(r)",
            "residual_of_shifted_norm",
            "the two constants do not cancel",
        ),
        (
            "m = LayerNormalization(z, gamma) r = Add(m, number) k = MatMul(r, v) l = Add(k, c) "
            "y = Identity(z)",
            "linear_of_shifted_norm",
            "the shift is not a vector of the input channels",
        ),
        (
            "m = LayerNormalization(z, gamma) r = Add(m, t) k = MatMul(r, v) l = Add(k, rows) "
            "y = Identity(z)",
            "linear_of_shifted_norm",
            "the bias is not a vector",
        ),
    ],
)
def test_other_shifted_norms(text, rule, reason):
    head = HEAD.replace("float[b,s,3] l", "float[b,2,l] l").replace("b,s", "b,2")
    given = model(f"{head}{{ {text} }}", rows=normal(2, 1), **WEIGHTS)
    check_miss(POST_NORM, given, reason, rule)


def test_a_stack_of_weights():
    head = HEAD.replace("b,s", "2,s")
    text = "m = LayerNormalization(z, gamma) r = Add(m, t) k = MatMul(r, stack) l = Add(k, c)"
    given = model(f"{head}{{ {text} y = Identity(z) }}", **WEIGHTS)
    check_miss(POST_NORM, given, "the weight is a stack of matrices", "linear_of_shifted_norm")


def test_shared_operands():
    check_shared(POST_NORM, net(), **sized())


SHIFTED = "g (float[b,4,4] z, float[b,4,5] a) => (float[b,4,4] y, float[b,4,3] l) "
CANCELLED = "p = MatMul(a, w) q = Add(p, bias) y = Add(q, r) l = Identity(z3)"


def shifted(shift, bias=WEIGHTS["bias"], text=CANCELLED):
    head = SHIFTED.replace("float[b,4,5] a", "float[b,4,5] a, float[b,4,3] z3")
    norm = "m = LayerNormalization(z, gamma) r = Add(m, shift)"
    more = {"shift": np.float32(shift), "bias": np.float32(bias)}
    return model(f"{head}{{ {norm} {text} }}", **WEIGHTS | more)


INTO_LINEAR = "y = Identity(z) k = MatMul(r, v) l = Add(k, c)"
BIAS = WEIGHTS["bias"]


@pytest.mark.parametrize("shape", [(4,), (1, 1, 4)])
def test_a_shift_goes_into_a_linear_layer_or_cancels(shape):
    expected = {"LayerNormalization": 1, "MatMul": 1, "Add": 1, "Identity": 1}
    given = shifted(-BIAS.reshape(shape))
    check_rule(POST_NORM, given, expected, dims={"b": 2}, **CLOSE)
    given = shifted(-BIAS.reshape(shape), text=INTO_LINEAR)
    check_rule(POST_NORM, given, expected, dims={"b": 2}, **CLOSE)


@pytest.mark.parametrize(
    ("shift", "bias"),
    [
        (-BIAS.reshape(4, 1), BIAS),
        (-BIAS, BIAS.reshape(4, 1)),
        (-BIAS * np.float32([1, 1, 1, 2]), BIAS),
    ],
)
def test_constants_that_do_not_cancel(shift, bias):
    given = shifted(shift, bias)
    check_miss(POST_NORM, given, "the two constants do not cancel", "residual_of_shifted_norm")


@pytest.mark.parametrize("shape", [(4, 1), (4, 4)])
def test_a_shift_that_is_no_row(shape):
    given = shifted(normal(*shape), text=INTO_LINEAR)
    reason = "the shift is not a vector of the input channels"
    check_miss(POST_NORM, given, reason, "linear_of_shifted_norm")


def test_what_the_dtype_cannot_hold():
    reason = "the folded constant has elements that float32 cannot hold"
    huge = np.full(4, 3e38)
    check_miss(POST_NORM, shifted(huge, text=INTO_LINEAR), reason, "linear_of_shifted_norm")
    given = model(f"{HEAD}{{ {NORM} {LINEAR} {RESIDUAL} }}", **WEIGHTS | {
        "t": np.float32(huge), "bias": np.float32(huge)
    })  # fmt: skip
    check_miss(POST_NORM, given, reason, "residual_bias")

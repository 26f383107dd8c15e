"""Linear layers over more than two dimensions."""

import numpy as np
import pytest

from sardonyx.compiler.rules.canonical_linear import RULES
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

(RULE,) = RULES
DIMS = [{"b": 3, "s": 5}, {"b": 1, "s": 1}]
# MatMul and Gemm sum 6 products of numbers near 1 in another order.
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def ints(*values):
    return np.array(values, dtype=np.int64)


def linear(
    attributes="", bias="c", back="back", signature="g (float[b,s,6] x) => (float[b,s,4] y)"
):
    operands = f"f, w, {bias}" if bias else "f, w"
    return (
        f"{signature} {{ f = Reshape(x, flat) h = Gemm<{attributes}>({operands}) "
        f"y = Reshape(h, {back}) }}"
    ).replace("Gemm<>", "Gemm")


def weights(**more):
    return {"flat": ints(-1, 6), "w": normal(6, 4), "c": normal(4), **more}


def shaped(text):
    """With the shape to go back to computed from the input, as exporters write it."""
    return text.replace(
        "y = Reshape(h, back)",
        "bs = Shape<start=0, end=2>(x) four = Constant<value_ints=[4]>() "
        "back = Concat<axis=0>(bs, four) y = Reshape(h, back)",
    )


MATCHES = [
    ("", "c", weights(), {"MatMul": 1, "Add": 1}),
    ("transB=1", "c", weights(w=normal(4, 6)), {"Transpose": 1, "MatMul": 1, "Add": 1}),
    ("", "", {k: v for k, v in weights().items() if k != "c"}, {"MatMul": 1}),
    ("", "c", weights(c=normal()), {"MatMul": 1, "Add": 1}),
    ("beta=2.0", "", {k: v for k, v in weights().items() if k != "c"}, {"MatMul": 1}),
]


@pytest.mark.parametrize(("attributes", "bias", "held", "expected"), MATCHES)
def test_becomes_matmul_and_add(attributes, bias, held, expected):
    given = model(shaped(linear(attributes, bias)), **held)
    check_rule(RULE, given, expected, dims=DIMS, **CLOSE)
    check_shared(RULE, given, dims={"b": 2, "s": 3}, **CLOSE)


STATIC = "g (float[2,3,6] x) => (float[2,3,4] y)"
MISSES = [
    (linear("alpha=0.5", back="to", signature=STATIC), {"to": ints(2, 3, 4)}, "it scales"),
    (linear("beta=2.0", back="to", signature=STATIC), {"to": ints(2, 3, 4)}, "it scales"),
    (
        linear(back="to", signature=STATIC),
        {"to": ints(2, 3, 4), "c": normal(6, 4)},
        "bias is no vector",
    ),
    (
        linear(back="to", signature="g (float[2,3,6] x) => (float[3,2,4] y)"),
        {"to": ints(3, 2, 4)},
        "dimensions before and after it differ",
    ),
    (
        linear(back="to", signature="g (float[2,3,6] x) => (float[6,2,2] y)"),
        {"to": ints(6, 2, 2)},
        "dimensions before and after it differ",
    ),
    (
        linear(back="to", signature="g (float[2,3,6] x) => (float[6,4] y)"),
        {"to": ints(6, 4)},
        "dimensions before and after it differ",
    ),
    (
        linear(back="to", signature="g (float[2,2,9] x) => (float[2,2,6] y)"),
        {"to": ints(2, 2, 6)},
        "last dimension",
    ),
    (
        linear("transA=1", back="to", signature="g (float[2,3,6] x) => (float[2,3,4] y)"),
        {"to": ints(2, 3, 4), "flat": ints(6, 6)},
        "transposes its first operand",
    ),
]


@pytest.mark.parametrize(("text", "more", "reason"), MISSES, ids=[m[2] for m in MISSES])
def test_refuses_with_a_reason(text, more, reason):
    check_miss(RULE, model(text, **weights(**more)), reason)


@pytest.mark.parametrize("of", ["x", "bias", "y"])
def test_values_of_unknown_rank(of):
    text = linear(
        bias="d", back="to", signature="g (float[b,s,6] x, float[4] d, int64[k] to) => (y)"
    )
    given = model(text, flat=ints(-1, 6), w=normal(6, 4))
    if of != "y":
        given.graph.inputs[0 if of == "x" else 1].shape = None
    reason = "its bias is no vector" if of == "bias" else "the rank before or after it is not known"
    check_miss(RULE, given, reason)

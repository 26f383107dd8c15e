"""One spelling for reductions."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.canonical_reduce import RULES
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

BY_NAME = {rule.name: rule for rule in RULES}
# A mean is rounded once, a sum and its quotient twice.
CLOSE = {"atol": 1e-6, "rtol": 1e-6}
NUMBERS = {
    "last": np.int64([-1]),
    "second": np.int64([2]),
    "both": np.int64([-1, 1]),
    "kept": np.int64([0, 0, 1]),
    "front": np.int64([0, 1, -1]),
    "two": np.int64([2]),
    "four": np.float32(4),
    "quarter": np.float32(0.25),
    "three": np.float32(3),
    "many": np.float32([4, 4]),
    "single": np.float32([3]),
}
SIZES = [{"b": 3, "s": 2}, {"b": 1, "s": 1}]
REDUCED = "r = ReduceMean<keepdims = 0>(x, second) "
MATCHES = [
    ("reduction_keeps_axes", "b,s,1", REDUCED + "y = Reshape(r, kept)", {"ReduceMean": 1}),
    ("reduction_keeps_axes", "b,s,1", REDUCED + "y = Unsqueeze(r, last)", {"ReduceMean": 1}),
    (
        "reduction_keeps_axes",
        "b,1,1",
        "r = ReduceMax<keepdims = 0>(x, both) y = Unsqueeze(r, both)",
        {"ReduceMax": 1},
    ),
    ("reduction_axes", "b,s,1", "y = ReduceSum(x, last)", {"ReduceSum": 1}),
    ("reduction_axes", "b,1,1", "y = ReduceMin(x, both)", {"ReduceMin": 1}),
    ("mean_of_sum", "b,s,1", "r = ReduceSum(x, last) y = Div(r, four)", {"ReduceMean": 1}),
    ("mean_of_sum", "b,s,1", "r = ReduceSum(x, last) y = Mul(quarter, r)", {"ReduceMean": 1}),
    (
        "scale_of_reduction",
        "b,s,1",
        REDUCED + "m = Mul(r, three) y = Unsqueeze(m, last)",
        {"ReduceMean": 1, "Unsqueeze": 1, "Mul": 1},
    ),
    (
        "scale_of_reduction",
        "b,s,1",
        REDUCED + "m = Mul(r, four) d = Div(m, three) y = Reshape(d, kept)",
        {"ReduceMean": 1, "Reshape": 1, "Mul": 1, "Div": 1},
    ),
]
MISSES = [
    (
        "reduction_keeps_axes",
        "1,b,s",
        REDUCED + "y = Unsqueeze(r, front0)",
        "the reduced axes are not put back as they were",
    ),
    (
        "reduction_keeps_axes",
        "b,s,1",
        REDUCED + "e = Exp(r) z = Unsqueeze(r, last) f = Unsqueeze(e, last) y = Add(z, f)",
        "the result without the reduced axes is read too",
    ),
    ("reduction_axes", "b,s,1", "y = ReduceSum(x, second)", "the axes are counted from the front"),
    (
        "mean_of_sum",
        "b,s,1",
        "r = ReduceSum(x, last) y = Div(r, three)",
        "a sum of 4 elements is divided by another number",
    ),
    (
        "mean_of_sum",
        "b,1,1",
        "r = ReduceSum(x, both) y = Div(r, four)",
        "it is not known how many elements the sum is of",
    ),
    (
        "scale_of_reduction",
        "b,s,1",
        REDUCED + "a = Mul(r, r) m = Mul(a, three) y = Unsqueeze(m, last)",
        "what is reshaped comes from no reduction",
    ),
    (
        "mean_of_sum",
        "b,1,4",
        "r = ReduceSum(x, middle) y = Div(r, four)",
        "it is not known how many elements the sum is of",
    ),
    (
        "scale_of_reduction",
        "b,s,1",
        REDUCED + "m = Mul(r, single) y = Unsqueeze(m, last)",
        "single: float[1] is not one number",
    ),
    (
        "scale_of_reduction",
        "b,s,4,1",
        "m = Mul(x, three) y = Unsqueeze(m, last)",
        "what is reshaped comes from no reduction",
    ),
]
MORE = {"front0": np.int64([0]), "middle": np.int64([1])}


def net(dims: str, body: str):
    return model(f"g (float[b,s,4] x) => (float[{dims}] y) {{ {body} }}", **NUMBERS | MORE)


@pytest.mark.parametrize(("name", "dims", "body", "expected"), MATCHES)
def test_matches(name, dims, body, expected):
    given = net(dims, body)
    check_rule(BY_NAME[name], given, expected, dims=SIZES, **CLOSE)
    if len(given.graph) > 1:
        check_shared(BY_NAME[name], given, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(("name", "dims", "body", "reason"), MISSES)
def test_refuses_with_a_reason(name, dims, body, reason):
    check_miss(BY_NAME[name], net(dims, body), reason)


def test_integers_have_no_mean():
    text = "g (int32[b,4] x) => (int32[b,1] y) { r = ReduceSum(x, last) y = Div(r, four) }"
    given = model(text, **{**NUMBERS, "four": np.int32(4)})
    check_miss(BY_NAME["mean_of_sum"], given, "is not one number")


@pytest.mark.parametrize(("dtype", "is_mean"), [("float16", True), ("float", False)])
def test_a_third_that_is_rounded_to_half_precision_makes_a_mean(dtype, is_mean):
    text = f"g ({dtype}[b,3] x) => ({dtype}[b,1] y) {{ r = ReduceSum(x, last) y = Mul(r, third) }}"
    third = np.float16(1 / 3) if is_mean else np.float32(np.float16(1 / 3))
    given = model(text, last=np.int64([-1]), third=third)
    if is_mean:
        check_rule(
            BY_NAME["mean_of_sum"], given, {"ReduceMean": 1}, dims=SIZES, atol=1e-2, rtol=1e-2
        )
    else:
        check_miss(BY_NAME["mean_of_sum"], given, "a sum of 3 elements is divided by another")


def test_a_sum_of_one_element_and_of_none():
    text = "g (float[b,LENGTH] x) => (float[b,1] y) { r = ReduceSum(x, last) y = Mul(r, one) }"
    held = {"last": np.int64([-1]), "one": np.float32(1)}
    given = model(text.replace("LENGTH", "1"), **held)
    check_rule(BY_NAME["mean_of_sum"], given, {"ReduceMean": 1}, dims=SIZES, **CLOSE)
    given = model(text.replace("LENGTH", "0"), **held)
    check_miss(BY_NAME["mean_of_sum"], given, "a sum of no elements is 0, a mean is no number")

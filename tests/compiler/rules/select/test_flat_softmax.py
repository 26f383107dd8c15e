"""Softmax over an axis that several others follow."""

from __future__ import annotations

import pytest

from sardonyx.compiler import compile
from sardonyx.compiler.rules.select import SELECTIONS
from tests.support.models import clone, model
from tests.support.rules import apply, check_miss, check_rule, check_same, check_shared, counts

(FLAT_SOFTMAX,) = SELECTIONS["flat_softmax"]
CLOSE = {"atol": 1e-6, "rtol": 1e-5}
SIZES = [{"b": 3, "h": 4, "w": 5}, {"b": 1, "h": 1, "w": 5}, {"b": 1, "h": 1, "w": 1}]


def softmax(shape: str, axis: int, op_type: str = "Softmax"):
    body = f"r = Relu(x) y = {op_type} <axis={axis}> (r)"
    return model(f"g (float[{shape}] x) => (float[{shape}] y) {{ {body} }}")


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ("b,3,4,5", 1),
        ("b,3,4,5", -3),
        ("b,3,h,5", 1),
        ("b,2,3,4,5", 2),
        ("b,2,3,4,w", 1),
        ("b,4,5", 0),
        ("1,1,4,1", 1),
    ],
)
def test_the_axes_behind_are_one(op_type, shape, axis):
    given = softmax(shape, axis, op_type)
    computed = {"Shape": 3, "ReduceProd": 1, "Concat": 1} if {"h", "w"} & set(shape) else {}
    left = {"Relu": 1, "Reshape": 2, op_type: 1, **computed}
    check_rule(FLAT_SOFTMAX, given, left, dims=SIZES, **CLOSE)


def test_two_dynamic_axes_behind():
    given = softmax("b,3,h,w", 1)
    left = {"Relu": 1, "Reshape": 2, "Softmax": 1, "Shape": 3, "ReduceProd": 1, "Concat": 1}
    check_rule(FLAT_SOFTMAX, given, left, dims=SIZES, **CLOSE)
    check_shared(FLAT_SOFTMAX, given, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("sizes", [{"b": 2, "h": 4, "w": 0}, {"b": 0, "h": 0, "w": 3}])
def test_axes_of_no_elements(sizes):
    given = softmax("b,h,h,w", 1)
    after = clone(given)
    apply(FLAT_SOFTMAX, after)
    check_same(given, after, dims=sizes, **CLOSE)


@pytest.mark.parametrize(
    ("shape", "axis", "reason"),
    [
        ("b,3,4,5", 3, "fewer than two axes follow its axis"),
        ("b,3,4,5", -2, "fewer than two axes follow its axis"),
        ("b,3", 0, "fewer than two axes follow its axis"),
        ("b,3,0,5", 1, "it is empty"),
    ],
)
def test_near_misses(shape, axis, reason):
    check_miss(FLAT_SOFTMAX, softmax(shape, axis), reason)


def test_an_unknown_rank_is_left_alone():
    text = """g (float[b,4] x, int64[k] s) => (float[?,?] y) {
        r = Reshape(x, s) y = Softmax <axis=1> (r) }"""
    check_miss(FLAT_SOFTMAX, model(text), "its rank is not known")


def test_it_comes_after_the_layout():
    text = """g (float[b,3,4,5] x) => (float[b,3,4,5] y) {
        t = Transpose <perm=[0,2,3,1]> (x) s = Softmax <axis=-1> (t)
        y = Transpose <perm=[0,3,1,2]> (s) }"""
    given = model(text)
    compiled = compile(given, "cpu").model
    assert counts(compiled) == {"Reshape": 2, "Softmax": 1}
    check_same(given, compiled, dims=SIZES, **CLOSE)

"""Linear layers between transposes of batch and length."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.attention.sequence_first import LINEAR_BETWEEN_TRANSPOSES
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared, check_unchanged

CLOSE = {"atol": 2e-6, "rtol": 2e-6}
SIZES = [{"b": 3, "s": 5}, {"b": 1, "s": 1}]
WEIGHTS = {"w": normal(4, 6), "c": normal(6), "n": np.float32(2), "sizes": np.int64([2, 4])}


def between(*lines: str, result: str = "float[b,s,6] y"):
    body = " ".join(["t = Transpose<perm=[1,0,2]>(x)", *lines])
    return model(f"g (float[b,s,4] x) => ({result}) {{ {body} }}", **WEIGHTS)


BACK = "y = Transpose<perm=[1,0,2]>(l)"


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (("l = MatMul(t, w)", BACK), {"MatMul": 1}),
        (("m = MatMul(t, w)", "l = Add(c, m)", BACK), {"MatMul": 1, "Add": 1}),
        (("m = MatMul(t, w)", "l = Add(m, n)", BACK), {"MatMul": 1, "Add": 1}),
    ],
)
def test_both_transposes_go(lines, left):
    given = between(*lines)
    check_rule(LINEAR_BETWEEN_TRANSPOSES, given, left, dims=SIZES, **CLOSE)
    check_shared(LINEAR_BETWEEN_TRANSPOSES, given, dims=SIZES, **CLOSE)


@pytest.mark.parametrize("axis", [-1, 2])
def test_pieces_that_are_all_transposed_back(axis):
    lines = ("m = MatMul(t, w)", f"p, q = Split<axis={axis}>(m, sizes)")
    backs = ("y = Transpose<perm=[1,0,2]>(p)", "z = Transpose<perm=[1,0,2]>(q)")
    given = between(*lines, *backs, result="float[b,s,2] y, float[b,s,4] z")
    left = {"MatMul": 2, "Split": 2}
    check_rule(LINEAR_BETWEEN_TRANSPOSES, given, left, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("lines", "result", "reason"),
    [
        (
            ("r = Softmax<axis=0>(t) l = Add(r, n)", BACK),
            "float[b,s,4] y",
            "there is no other transpose before a linear layer (r",
        ),
        (
            ("l = Add(t, t)", BACK),
            "float[b,s,4] y",
            "there is no other transpose before a linear layer (l",
        ),
        (
            ("l = MatMul(t, w)", BACK, "z = Neg(l)"),
            "float[b,s,6] y, float[s,b,6] z",
            "a value between the transposes has other readers (l",
        ),
    ],
)
def test_near_misses(lines, result, reason):
    check_miss(LINEAR_BETWEEN_TRANSPOSES, between(*lines, result=result), reason)


@pytest.mark.parametrize("layer", ["MatMul(t, k)", "Add(t, k)"])
def test_weights_that_are_computed(layer):
    shape, size = ("4,6", 6) if "MatMul" in layer else ("4", 4)
    text = f"""g (float[b,s,4] x, float[{shape}] k) => (float[b,s,{size}] y) {{
        t = Transpose<perm=[1,0,2]>(x) l = {layer} {BACK} }}"""
    reason = "there is no other transpose before a linear layer (l"
    check_miss(LINEAR_BETWEEN_TRANSPOSES, model(text), reason)


def test_a_piece_that_is_not_transposed_back():
    lines = ("m = MatMul(t, w)", "p, q = Split<axis=-1>(m, sizes)", BACK.replace("(l)", "(p)"))
    given = between(*lines, "z = Neg(q)", result="float[b,s,2] y, float[s,b,4] z")
    check_unchanged(LINEAR_BETWEEN_TRANSPOSES, given)


def test_a_piece_that_is_changed_before_it_is_transposed_back():
    lines = ("m = MatMul(t, w)", "p, q = Split<axis=-1>(m, sizes)", BACK.replace("(l)", "(p)"))
    given = between(
        *lines, "u = Neg(q)", "z = Transpose<perm=[1,0,2]>(u)",
        result="float[b,s,2] y, float[b,s,4] z",
    )  # fmt: skip
    check_unchanged(LINEAR_BETWEEN_TRANSPOSES, given)


def test_pieces_of_other_axes():
    text = """g (float[6,s,4] x) => (float[2,s,6] y, float[4,s,6] z) {
        t = Transpose<perm=[1,0,2]>(x) m = MatMul(t, w) p, q = Split<axis=1>(m, sizes)
        y = Transpose<perm=[1,0,2]>(p) z = Transpose<perm=[1,0,2]>(q) }"""
    check_unchanged(LINEAR_BETWEEN_TRANSPOSES, model(text, **WEIGHTS))


def test_a_bias_for_each_sequence():
    text = f"""g (float[3,s,4] x) => (float[3,s,4] y) {{
        t = Transpose<perm=[1,0,2]>(x) l = Add(t, k) {BACK} }}"""
    reason = "there is no other transpose before a linear layer (l"
    check_miss(LINEAR_BETWEEN_TRANSPOSES, model(text, k=normal(3, 4)), reason)

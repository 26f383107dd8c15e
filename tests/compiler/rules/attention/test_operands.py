"""Query, key and value of an attention that is spelled out, as they are stored and shaped."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sardonyx.compiler.rules.attention.scaled_dot_product import SCALED_DOT_PRODUCT
from tests.support.models import model, normal
from tests.support.rules import apply, check_miss, check_rule, counts

CLOSE = {"atol": 5e-6, "rtol": 5e-6}
SIZES = [{"b": 3, "s": 5, "t": 4}, {"b": 1, "s": 1, "t": 6}]
ATTEND = "c = MatMul(q, k) p = Softmax(c) y = MatMul(p, v)"


def test_one_head_of_keys_for_all_of_the_query():
    text = f"""g (float[b,2,s,4] q, float[b,1,4,t] k, float[b,1,t,3] v) => (float[b,2,s,3] y) {{
        {ATTEND} }}"""
    left = {"Transpose": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=SIZES, **CLOSE)


def test_a_query_that_is_transposed_already_stays_as_it_is():
    text = f"""g (float[b,s,2,4] x, float[b,2,4,t] k, float[b,2,t,3] v) => (float[b,2,s,3] y) {{
        q = Transpose<perm=[0,2,1,3]>(x) {ATTEND} }}"""
    left = {"Transpose": 2, "Attention": 1}
    after = check_rule(SCALED_DOT_PRODUCT, model(text), left, dims=SIZES, **CLOSE)
    assert after.graph[-1].inputs[0].name == "q"


def test_a_scale_that_has_more_axes_than_the_query():
    text = f"""g (float[2,s,4] x, float[1,2,4,t] k, float[1,2,t,3] v) => (float[1,2,s,3] y) {{
        q = Mul(x, half) {ATTEND} }}"""
    given = model(text, half=np.float32([[[[0.5]]]]))
    left = {"Mul": 1, "Transpose": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_a_query_whose_rows_are_transposed_with_heads_folded():
    text = f"""g (float[2,3,4,4] x, float[2,3,4,t] k, float[2,3,t,3] v) => (float[2,3,4,3] y) {{
        f = Reshape(x, fold) g0 = Transpose<perm=[0,2,1]>(f) q = Reshape(g0, back) {ATTEND} }}"""
    given = model(text, fold=np.int64([6, 4, 4]), back=np.int64([2, 3, 4, 4]))
    left = {"Reshape": 2, "Transpose": 2, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_a_key_of_three_axes_that_is_transposed_with_four():
    text = f"""g (float[3,s,4] q, float[3,6,4] x, float[3,6,5] v) => (float[3,s,5] y) {{
        f = Reshape(x, fold) g0 = Transpose<perm=[0,1,3,2]>(f) k = Reshape(g0, back) {ATTEND} }}"""
    given = model(text, fold=np.int64([1, 3, 6, 4]), back=np.int64([3, 4, 6]))
    left = {"Unsqueeze": 3, "Attention": 1, "Squeeze": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


FOLDED = """g (float[2,3,ROWS,4] x, float[2,3,4,6] k4, float[2,3,6,SIZE] v4) =>
    (float[6,ROWS,SIZE] y) { q = Reshape(x, q_fold) k = Reshape(k4, k_fold) v = Reshape(v4, v_fold)
    c = MatMul(q, k) d = Mul(c, half) p = Softmax(d) y = MatMul(p, v) }"""


@pytest.mark.parametrize(("rows", "size"), [("5", "3"), ("s", "3"), ("5", "d"), ("s", "d")])
def test_heads_folded_into_the_batch_of_keys_that_are_stored_transposed(rows, size):
    given = model(
        FOLDED.replace("ROWS", rows).replace("SIZE", size),
        q_fold=np.int64([6, -1, 4]), k_fold=np.int64([6, 4, 6]), v_fold=np.int64([6, 6, -1]),
        half=np.float32(0.3),
    )  # fmt: skip
    left = {"Transpose": 1, "Attention": 1, "Reshape": 1}
    if rows == "s" or size == "d":
        left |= {"Shape": 1, "Concat": 1}
    dims = [{"s": 5, "d": 3}, {"s": 1, "d": 2}]
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=dims, **CLOSE)


WINDOWS = """g (float[N,HEADS,ROWS,4] q, float[N,HEADS,4,COLUMNS] k, float[N,HEADS,COLUMNS,3] v,
    float[1,W,1,ROWS,COLUMNS] m) => (float[N,HEADS,ROWS,3] y) {
    c = MatMul(q, k) w = Reshape(c, windows) e = Add(w, m) f = Reshape(e, back)
    p = Softmax(f) y = MatMul(p, v) }"""


@pytest.mark.parametrize(
    ("sizes", "windows"),
    [
        ({"N": 6, "HEADS": 4, "W": 4, "ROWS": 5, "COLUMNS": 5}, [3, 4, 2, 5, 5]),
        ({"N": 6, "HEADS": 2, "W": 3, "ROWS": "s", "COLUMNS": 5}, [2, 3, 2, -1, 5]),
        ({"N": 6, "HEADS": 2, "W": 3, "ROWS": 5, "COLUMNS": "t"}, [2, 3, 2, 5, -1]),
    ],
)
def test_masks_of_what_are_no_windows_of_known_size(sizes, windows):
    text = WINDOWS
    for name, size in sizes.items():
        text = re.sub(rf"\b{name}\b", str(size), text)
    back = [sizes["N"], sizes["HEADS"], *windows[-2:]]
    given = model(text, windows=np.int64(windows), back=np.int64(back))
    reason = "the mask differs along axes that are not batch and heads (m"
    check_miss(SCALED_DOT_PRODUCT, given, reason)


def test_rows_of_a_query_that_is_joined_of_what_has_an_unknown_rank():
    text = """g (float o, float[7,2,r,4] n, float[7,2,4,6] k, float[7,2,6,3] v, float[6] m) =>
        (float[7,2,s,3] y) { j = Concat<axis=2>(o, n) q = Reshape(j, to)
        c = MatMul(q, k) d = Add(c, m) p = Softmax(d) y = MatMul(p, v) }"""
    given = model(text, to=np.int64([7, 2, -1, 4]))
    given.graph.inputs[0].shape = None
    apply(SCALED_DOT_PRODUCT, given)
    made = {"Shape": 1, "Concat": 2, "Expand": 1, "Transpose": 1, "Attention": 1}
    assert counts(given) == {"Reshape": 1, **made}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "float[4] q, float[b,4,t] k, float[t] v) => (float[b] y)",
            "an operand has not two axes or more, or the number is not known (q",
        ),
        (
            "float[b,s,4] q, float[4] k, float[s,3] v) => (float[b,3] y)",
            "an operand has not two axes or more, or the number is not known (k",
        ),
        (
            "float[s,4] q, float[4] k, float[s,3] v) => (float[3] y)",
            "the rank of the scores is not known (c",
        ),
        (
            "float[b,2,s,4] q, float[2,4,t] k, float[b,2,t,3] v) => (float[b,2,s,3] y)",
            "query, key and value differ in their number of axes (k",
        ),
    ],
)
def test_operands_of_other_ranks(text, reason):
    check_miss(SCALED_DOT_PRODUCT, model(f"g ({text} {{ {ATTEND} }}"), reason)


TINY = " ".join(f"c{i + 1} = Mul(c{i}, tiny)" for i in range(8))


def test_a_scale_that_is_too_small_to_be_a_number():
    text = f"""g (float[b,2,s,4] q, float[b,2,4,t] k, float[b,2,t,3] v) => (float[b,2,s,3] y) {{
        c0 = MatMul(q, k) {TINY} p = Softmax(c8) y = MatMul(p, v) }}"""
    given = model(text, tiny=np.float32(1e-44))
    left = {"Mul": 1, "Transpose": 1, "Attention": 1}
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_a_soft_cap_that_is_too_small_to_be_a_number():
    text = f"""g (float[b,2,s,4] q, float[b,2,4,t] k, float[b,2,t,3] v) => (float[b,2,s,3] y) {{
        c = MatMul(q, k) c0 = Tanh(c) {TINY} p = Softmax(c8) y = MatMul(p, v) }}"""
    given = model(text, tiny=np.float32(1e-44))
    check_miss(SCALED_DOT_PRODUCT, given, "is multiplied by no positive number (c0")


@pytest.mark.parametrize("other", ["Mul(c, o)", "Add(c, o)"])
def test_scores_and_a_factor_or_a_bias_that_are_products_both(other):
    size = "1" if "Mul" in other else "t"
    text = f"""g (float[b,2,s,4] q, float[b,2,t,4] x, float[b,2,t,3] v, float[b,2,4,{size}] w) =>
        (float[b,2,s,3] y) {{ k = Transpose<perm=[0,1,3,2]>(x) c0 = MatMul(q, k) c = Mul(c0, few)
        o = MatMul(q, w) d = {other} p = Softmax(d) y = MatMul(p, v) }}"""
    left = {"MatMul": 1, "Attention": 1, **({"Mul": 1} if "Mul" in other else {})}
    given = model(text, few=np.float32(0.05))
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)


def test_a_bias_that_is_a_product_with_a_weight():
    text = """g (float[b,2,s,4] q, float[b,2,4,6] k, float[b,2,6,3] v) => (float[b,2,s,3] y) {
        o = MatMul(q, w) c = MatMul(q, k) d = Add(o, c) p = Softmax(d) y = MatMul(p, v) }"""
    left = {"MatMul": 1, "Transpose": 1, "Attention": 1}
    given = model(text, w=normal(4, 6))
    check_rule(SCALED_DOT_PRODUCT, given, left, dims=SIZES, **CLOSE)

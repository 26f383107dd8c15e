"""Attention whose keys and values are joined to those of the steps before."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler import compile
from sardonyx.compiler.rules.attention.kv_cache import KV_CACHE
from tests.support.models import clone, model
from tests.support.rules import apply, check_miss, check_rule, check_same, check_shared, counts

SIZES = [
    {"b": 2, "s": 3, "p": 5, "t": 8},
    {"b": 1, "s": 1, "p": 4, "t": 5},
    {"b": 2, "s": 2, "p": 0, "t": 2},
]
NUMBERS = {"dims": SIZES, "atol": 2e-6, "rtol": 2e-6}
TEXT = """g (float[b,6,s,4] q, float[b,2,s,4] k, float[b,2,s,3] v, float[b,2,p,4] pk,
    float[b,2,p,3] pv) => (float[b,6,s,3] y, float[b,2,t,4] nk, float[b,2,t,3] nv) {
    nk = Concat<axis=2>(pk, k) nv = Concat<axis=2>(pv, v) y = Attention<scale=0.4>(q, nk, nv) }"""
PRESENT = ", float[b,2,t,4] nk, float[b,2,t,3] nv"
ATTEND = "Attention<scale=0.4>(q, nk, nv)"


def cached(*changes: tuple[str, str], **weights: np.ndarray):
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return model(text, **weights)


def ends(given):
    """The names of the operands and results of the attention."""
    (node,) = [n for n in given.graph if n.op_type == "Attention"]
    return [v.name if v is not None else "" for v in (*node.inputs, *node.outputs)]


@pytest.mark.parametrize("axis", ["2", "-2"])
def test_joined_keys_and_values(axis: str):
    after = check_rule(KV_CACHE, cached(("axis=2", f"axis={axis}")), {"Attention": 1}, **NUMBERS)
    assert ends(after) == ["q", "k", "v", "", "pk", "pv", "y", "nk", "nv"]


def test_joined_keys_that_are_read_by_others_or_nobody():
    given = cached((PRESENT, ""))
    after = check_rule(KV_CACHE, given, {"Attention": 1}, **NUMBERS)
    assert len(ends(after)) == 9  # ONNX Runtime takes no cache without giving one.
    check_shared(KV_CACHE, given, **NUMBERS)


@pytest.mark.parametrize("mask", ["float[b,1,s,t]", "float[s,t]", "float[1,6,s,t]"])
def test_masks_stay(mask: str):
    given = cached(("pv)", f"pv, {mask} m)"), ("nk, nv)", "nk, nv, m)"))
    after = check_rule(KV_CACHE, given, {"Attention": 1}, **NUMBERS)
    assert ends(after)[:6] == ["q", "k", "v", "m", "pk", "pv"]


def test_a_boolean_mask_that_hides_all_keys_of_a_query():
    sizes = (("s,", "3,"), ("p,", "4,"), ("t,", "7,"))
    mask = np.tri(3, 7, 4, dtype=bool)
    mask[1] = False
    given = cached(("nk, nv)", "nk, nv, m)"), *sizes, m=mask)
    check_rule(KV_CACHE, given, {"Attention": 1}, dims={"b": 2}, atol=2e-6, rtol=2e-6)


def test_keys_that_are_the_values():
    given = cached(
        ("float[b,6,s,3] y", "float[b,6,s,4] y"), (", float[b,2,t,3] nv", ""),
        (", float[b,2,s,3] v", ""), (",\n    float[b,2,p,3] pv", ""),
        ("nv = Concat<axis=2>(pv, v)", ""), ("nk, nv)", "nk, nk)"),
    )  # fmt: skip
    after = check_rule(KV_CACHE, given, {"Attention": 1}, **NUMBERS)
    assert ends(after)[:6] == ["q", "k", "k", "", "pk", "pk"]


def test_two_attentions_of_one_cache():
    given = cached(
        ("float[b,6,s,3] y,", "float[b,6,s,3] y, float[b,6,s,3] z,"),
        (f"y = {ATTEND}", f"y = {ATTEND} w = Neg(q) z = Attention(w, nk, nv)"),
    )
    after = check_rule(KV_CACHE, given, {"Neg": 1, "Attention": 2}, **NUMBERS)
    first, second = (n for n in after.graph if n.op_type == "Attention")
    assert list(second.inputs)[1:] == list(first.outputs)[1:]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([("=0.4", "=0.4, is_causal=1")], "the first query sees the first past key only"),
        ([("axis=2>(pk, k)", "axis=1>(pk, k)"), ("float[b,2,t", "float[b,4,t"), ("p,", "s,"),
          ("axis=2>(pv", "axis=1>(pv")],
         "the keys are joined to others along axis 1 (k: "),
        ([("Concat<axis=2>(pv, v)", "Neg(v)"), ("t,3", "s,3"), ("p,", "0,")],
         "nv: float[b, 2, s, 3] comes from Neg, not from Concat"),
        ([("Concat<axis=2>(pk, k)", "Concat<axis=2>(pk, k, k)"), ("(pv, v)", "(pv, v, v)")],
         "has more operands than the pattern"),
        ([("float[b,2,p,3] pv", "float[b,2,r,3] pv"), ("float[b,2,s,3] v", "float[b,2,u,3] v")],
         "new keys and new values are not known to be equally many (v: "),
    ],
    ids=["causal", "heads", "values", "three", "lengths"],
)  # fmt: skip
def test_what_is_no_cache(changes, reason: str):
    check_miss(KV_CACHE, cached(*changes), reason)


def test_a_cache_that_is_one_already():
    given = cached(
        ("float[b,2,t,4] nk, float[b,2,t,3] nv)", "float[b,2,n,4] rk, float[b,2,n,3] rv)"),
        ("y = ", "y, rk, rv = "), ("nk, nv)", "nk, nv, , pk, pv)"),
    )  # fmt: skip
    check_miss(KV_CACHE, given, "it has a cache of past keys already (pk: ")


def test_past_keys_alone():
    given = cached(("nk, nv)", "nk, nv, , pk)"))
    check_miss(KV_CACHE, given, "it has a cache of past keys already (pk: ")


def test_a_query_that_is_made_in_many_ways():
    doubled = " ".join(f"q{i} = Add(q{i - 1}, q{i - 1})" for i in range(1, 60))
    given = cached(
        ("float[b,6,s,4] q,", "float[b,6,s,4] q0,"), (f"y = {ATTEND}", f"{doubled} y = {ATTEND}"),
        ("(q, nk", "(q59, nk"),
    )  # fmt: skip
    after = clone(given)
    apply(KV_CACHE, after)
    assert counts(after) == {"Add": 59, "Attention": 1}


def test_a_cache_without_an_axis_for_the_heads():
    text = """g (float[b,s,12] q, float[b,s,6] k, float[b,p,6] pk) => (float[b,s,12] y) {
        nk = Concat<axis=1>(pk, k)
        y = Attention<q_num_heads=6, kv_num_heads=3>(q, nk, nk) }"""
    check_miss(KV_CACHE, model(text), "the past keys have no axis of their own for the heads (k: ")


def test_a_query_that_is_made_of_the_joined_keys():
    text = """g (float[b,2,s,4] k, float[b,2,p,4] pk) => (float[b,2,t,4] y) {
        nk = Concat<axis=2>(pk, k) r = Neg(nk) y = Attention(r, nk, nk) }"""
    check_miss(KV_CACHE, model(text), "its operands are made of its keys (r: ")


def test_keys_that_are_joined_outside_of_a_branch():
    text = """g (bool c, float[b,2,s,4] k, float[b,2,p,4] pk) => (float[b,2,s,4] y) {
        nk = Concat<axis=2>(pk, k)
        y = If (c) <
            then_branch = one () => (float[b,2,s,4] o) { o = Attention(k, nk, nk) },
            else_branch = two () => (float[b,2,s,4] w) { w = Neg(k) }> }"""
    check_miss(KV_CACHE, model(text), "the keys are joined outside of the subgraph (k: ")


def test_a_whole_step_of_grouped_queries():
    """Heads are parted, keys joined and repeated, and heads joined again: one node."""
    text = """g (float[b,s,12] q, float[b,s,6] k, float[b,s,6] v, float[b,2,p,3] pk,
        float[b,2,p,3] pv, bool[b,1,s,t] m) =>
        (float[b,s,12] y, float[b,2,t,3] nk, float[b,2,t,3] nv) {
        q4 = Reshape(q, four) qt = Transpose<perm=[0,2,1,3]>(q4)
        k4 = Reshape(k, two) kt = Transpose<perm=[0,2,1,3]>(k4)
        v4 = Reshape(v, two) vt = Transpose<perm=[0,2,1,3]>(v4)
        nk = Concat<axis=2>(pk, kt) nv = Concat<axis=2>(pv, vt)
        ku = Unsqueeze(nk, axis2) ke = Expand(ku, twice) kr = Reshape(ke, heads)
        vu = Unsqueeze(nv, axis2) ve = Expand(vu, twice) vr = Reshape(ve, heads)
        kx = Transpose<perm=[0,1,3,2]>(kr) w = MatMul(qt, kx) c = Mul(w, scale)
        x = Where(m, c, low) z = Softmax<axis=-1>(x) a = MatMul(z, vr)
        at = Transpose<perm=[0,2,1,3]>(a) y = Reshape(at, joined) }"""
    given = model(
        text, four=np.int64([0, 0, 4, 3]), two=np.int64([0, 0, 2, 3]), axis2=np.int64([2]),
        twice=np.int64([1, 1, 2, 1, 1]), heads=np.int64([0, 4, -1, 3]), scale=np.float32(0.5),
        low=np.float32(np.finfo(np.float32).min), joined=np.int64([0, 0, 12]),
    )  # fmt: skip
    made = compile(given, "portable", verify_level=2).model
    assert counts(made)["Attention"] == 1
    assert not {"MatMul", "Transpose", "Unsqueeze"} & set(counts(made))
    assert [name for name in ends(made) if name[0] in "pn"] == ["pk", "pv", "nk", "nv"]
    check_same(given, made, **NUMBERS)

"""Masks of Attention that are known at compile time."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.attention.known_mask import RULES
from tests.support.models import clone, model, normal, random_feeds
from tests.support.rules import (
    apply,
    check_miss,
    check_rule,
    check_shared,
    check_unchanged,
    counts,
)
from tests.support.run import run_ort, run_reference

WITHOUT, CAUSAL, ONCE, FILLED = RULES
CLOSE = {"atol": 2e-6, "rtol": 2e-6}
SIZES = [{"b": 3}, {"b": 1}]
SEEN = np.tri(5, dtype=bool)


def attention(mask: np.ndarray | None = None, more: str = "", heads: str = "b,2,", **attributes):
    """Attention of five queries and five keys with the mask m."""
    given = ",".join(f"{k}={v}" for k, v in {"scale": 0.4, **attributes}.items())
    inputs = "" if mask is not None else ", float[b,1,1,5] m"
    text = f"""g (float[{heads}5,4] q, float[{heads}5,4] k, float[{heads}5,3] v{inputs}) =>
        (float[{heads}5,3] y) {{ y = Attention<{given}>(q, k, v, m{more}) }}"""
    return model(text, **({"m": mask} if mask is not None else {}))


def names(given):
    """The operands of the attention."""
    return [v.name if v is not None else "" for v in given.graph[-1].inputs]


@pytest.mark.parametrize("mask", [np.zeros((1, 1, 5, 5), np.float32), np.ones((5, 5), bool)])
def test_a_mask_that_hides_nothing(mask):
    after = check_rule(WITHOUT, attention(mask), {"Attention": 1}, dims=SIZES, **CLOSE)
    assert names(after) == ["q", "k", "v"]


def test_a_mask_that_hides_something():
    check_miss(WITHOUT, attention(normal(5, 5)), "the mask hides keys (m: float[5, 5])")
    check_miss(WITHOUT, attention(SEEN), "the mask hides keys (m: bool[5, 5])")
    check_miss(WITHOUT, attention(), "m: float[b, 1, 1, 5] is computed when the model runs")


@pytest.mark.parametrize(
    "mask",
    [
        SEEN,
        SEEN[None, None],
        np.where(SEEN, 0, -np.inf).astype(np.float32),
        np.where(SEEN, 0, np.finfo(np.float32).min).astype(np.float32),
        np.where(SEEN, 0, -1e4).astype(np.float32)[None],
        np.where(SEEN, 0, -1000).astype(np.float32),
        np.broadcast_to(SEEN, (2, 5, 5)),
    ],
)
def test_a_causal_mask(mask):
    after = check_rule(CAUSAL, attention(mask), {"Attention": 1}, dims=SIZES, **CLOSE)
    assert names(after) == ["q", "k", "v"]
    assert after.graph[0].attributes["is_causal"].as_int() == 1


def test_a_causal_mask_of_three_axes():
    text = """g (float[b,5,8] q, float[b,5,8] k, float[b,5,6] v) => (float[b,5,6] y) {
        y = Attention<q_num_heads=2,kv_num_heads=2>(q, k, v, m) }"""
    given = model(text, m=SEEN)
    check_rule(CAUSAL, given, {"Attention": 1}, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    "mask",
    [
        np.tri(5, k=1, dtype=bool),
        np.tri(5, k=-1, dtype=bool),
        ~SEEN,
        np.where(SEEN, 0, -5).astype(np.float32),
        np.where(SEEN, 0, [-np.inf, -np.inf, -5, -np.inf, -np.inf]).astype(np.float32),
        np.where(SEEN, 1, -np.inf).astype(np.float32),
        np.where(SEEN, np.eye(5), -np.inf).astype(np.float32),
        np.stack([SEEN, np.ones_like(SEEN)]),
    ],
)
def test_another_mask_is_not_causal(mask):
    reason = "the mask is another than that of past keys (m: "
    check_miss(CAUSAL, attention(mask), reason)


def test_causal_masks_that_stay():
    check_miss(CAUSAL, attention(SEEN, is_causal=1), "it is causal already")
    text = """g (float[b,2,5,4] q, float[b,2,5,4] k, float[b,2,5,3] v,
        float[b,2,n,4] p, float[b,2,n,3] r) => (float[b,2,5,3] y) {
        y, pk, pv = Attention(q, k, v, m, p, r) }"""
    check_miss(CAUSAL, model(text, m=SEEN), "it has a cache of past keys")
    text = """g (float[b,2,s,4] q, float[b,2,s,4] k, float[b,2,s,3] v) => (float[b,2,s,3] y) {
        y = Attention(q, k, v, m) }"""
    reason = "queries and keys are not known to be as many as the mask says"
    check_miss(CAUSAL, model(text, m=SEEN), reason)
    check_miss(CAUSAL, model(text, m=np.float32([0])), reason)
    text = text.replace("float[b,2,s,4] q", "float[b,2,5,4] q").replace(
        "float[b,2,s,3] y", "float[b,2,5,3] y"
    )
    check_miss(CAUSAL, model(text.replace("b,2,s", "b,2,4"), m=np.tri(5, 4, dtype=bool)), reason)


def test_a_mask_repeated_for_each_sequence_and_head():
    mask = np.broadcast_to(normal(5, 5), (3, 2, 5, 5))
    given = attention(mask, heads="3,2,")
    after = check_rule(ONCE, given, {"Attention": 1}, **CLOSE)
    assert list(after.graph[0].inputs[3].shape) == [1, 1, 5, 5]
    mask = np.broadcast_to(normal(3, 1, 5, 5), (3, 2, 5, 5))
    after = check_rule(ONCE, attention(mask, heads="3,2,"), {"Attention": 1}, **CLOSE)
    assert list(after.graph[0].inputs[3].shape) == [3, 1, 5, 5]
    mask = np.broadcast_to(normal(5), (3, 2, 5, 5))
    after = check_rule(ONCE, attention(mask, heads="3,2,"), {"Attention": 1}, **CLOSE)
    assert list(after.graph[0].inputs[3].shape) == [1, 1, 5, 5]


def test_a_mask_that_differs():
    reason = "the mask differs from sequence to sequence and from head to head (m"
    check_miss(ONCE, attention(normal(3, 2, 5, 5), heads="3,2,"), reason)
    check_miss(ONCE, attention(normal(1, 1, 5, 5)), reason)


TEXT = """g (float[b,2,s,4] q, float[b,2,t,4] k, float[b,2,t,3] v, float[b,2,s,t] n, MASK m) =>
    (float[b,2,s,3] y) { y = Attention(q, k, v, m) }"""


@pytest.mark.parametrize("mask", ["float[b,1,1,t]", "bool[1,t]", "float[t]"])
def test_a_mask_without_all_rows(mask):
    # ONNX Runtime refuses what is given: the reference is right.
    given = model(TEXT.replace("MASK", mask))
    after = clone(given)
    apply(FILLED, after)
    assert counts(after) == {"Shape": 2, "Concat": 1, "Expand": 1, "Attention": 1}
    feeds = random_feeds(given, {"b": 2, "s": 3, "t": 4})
    if "bool" in mask:
        feeds["m"] = np.ones_like(feeds["m"])
    for wanted, got in zip(run_reference(given, feeds), run_ort(after, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_the_columns_of_joined_keys_are_counted_before_they_are_joined():
    given = model("""g (float[b,2,s,4] q, float[b,2,p,4] pk, float[b,2,t,4] k, float[b,2,p,3] pv,
        float[b,2,t,3] v, float[b,1,1,p] pm, float[b,1,1,t] m) => (float[b,2,s,3] y) {
        kk = Concat<axis=2>(pk, k) vv = Concat<axis=-2>(pv, v) mm = Concat<axis=3>(pm, m)
        y = Attention(q, kk, vv, mm) }""")
    after = clone(given)
    apply(FILLED, after)
    assert counts(after) == {"Concat": 4, "Shape": 3, "Add": 1, "Expand": 1, "Attention": 1}
    feeds = random_feeds(given, {"b": 2, "s": 3, "p": 5, "t": 4})
    for wanted, got in zip(run_reference(given, feeds), run_ort(after, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_a_mask_without_all_rows_for_operands_of_three_axes():
    given = model("""g (float[b,s,8] q, float[b,t,8] k, float[b,t,6] v, float[1,t] m) =>
        (float[b,s,6] y) { y = Attention<q_num_heads=2,kv_num_heads=2>(q, k, v, m) }""")
    after = clone(given)
    apply(FILLED, after)
    assert counts(after) == {"Shape": 2, "Concat": 1, "Expand": 1, "Attention": 1}
    feeds = random_feeds(given, {"b": 2, "s": 3, "t": 4})
    for wanted, got in zip(run_reference(given, feeds), run_ort(after, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_lengths_that_are_known_need_no_shape():
    given = attention()
    check_miss(FILLED, model(TEXT.replace("MASK", "float[b,1,s,t]")), "the mask has all its rows")
    reason = "the mask is not known to have a column for each key (m: float[1, 1])"
    check_miss(FILLED, model(TEXT.replace("MASK", "float[1,1]")), reason)

    after = clone(given)
    apply(FILLED, after)
    assert counts(after) == {"Expand": 1, "Attention": 1}


CACHED = """g (float[b,2,s,4] q, float[b,2,s,4] k, float[b,2,s,3] v, MASK m, float[b,2,p,4] pk,
    float[b,2,p,3] pv) => (float[b,2,s,3] y, float[b,2,n,4] nk, float[b,2,n,3] nv) {
    y, nk, nv = Attention(q, k, v, m, pk, pv) }"""


@pytest.mark.parametrize("length", ["s", "3"])
@pytest.mark.parametrize("mask", ["float[b,1,1,n]", "bool[1,n]", "float[n]"])
def test_a_mask_for_a_cache_without_all_rows(mask, length):
    given = model(CACHED.replace("MASK", mask).replace(",s,", f",{length},"))
    after = clone(given)
    apply(FILLED, after)
    is_known = {} if length == "3" else {"Shape": 1, "Concat": 1}
    assert counts(after) == {**is_known, "Expand": 1, "Attention": 1}
    feeds = random_feeds(given, {"b": 2, "s": 3, "p": 4, "n": 7})
    if "bool" in mask:
        feeds["m"][..., 0] = True
    for wanted, got in zip(run_reference(given, feeds), run_ort(after, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)
    check_unchanged(FILLED, after)


def test_masks_for_a_cache_that_cannot_be_filled():
    given = model(CACHED.replace("MASK", "float[b,1,1,1]"))
    check_miss(FILLED, given, "the mask is not known to have a column for each key (m")
    given = model(CACHED.replace("MASK", "float[b,1,1,n]").replace(",s,", ",1,"))
    check_miss(FILLED, given, "the mask has all its rows (m")
    text = """g (float[b,1,8] q, float[b,1,8] k, float[b,1,6] v, float[b,1,1,n] m,
        float[b,2,p,4] pk, float[b,2,p,3] pv) => (float[b,1,6] y) {
        y, nk, nv = Attention<q_num_heads=2,kv_num_heads=2>(q, k, v, m, pk, pv) }"""
    check_miss(FILLED, model(text), "the mask has all its rows (m")
    given = model(CACHED.replace("MASK", "float"))
    check_miss(FILLED, given, "the mask is not known to have a column for each key (m")


def test_caches_stay_where_a_mask_goes():
    text = """g (float[b,2,5,4] q, float[b,2,5,4] k, float[b,2,5,3] v,
        float[b,2,3,4] p, float[b,2,3,3] r) =>
        (float[b,2,5,3] y, float[b,2,8,4] pk, float[b,2,8,3] pv) {
        y, pk, pv = Attention(q, k, v, m, p, r) }"""
    given = model(text, m=np.ones((5, 8), bool))
    check_rule(WITHOUT, given, {"Attention": 1}, dims=SIZES, **CLOSE)


def test_shared_masks():
    text = """g (float[b,2,5,4] q, float[b,2,5,4] k, float[b,2,5,3] v) => (float[b,2,5,3] y) {
        n = Not(m) c = Not(n) z = Attention(q, k, v, c) y = Attention(z, k, v, m) }"""
    text = text.replace("float[b,2,5,3]", "float[b,2,5,4]")
    check_shared(RULES, model(text, m=SEEN), dims=SIZES, **CLOSE)

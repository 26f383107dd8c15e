"""Attention of keys and values whose heads are repeated for groups of queries."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.attention.grouped_queries import GROUPED_QUERIES
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 2e-6, "rtol": 2e-6}
SIZES = [{"b": 2, "s": 5, "t": 4}, {"b": 1, "s": 1, "t": 1}]
LEFT = {"Attention": 1}
NUMBERS = {
    "two": np.int64([2]),
    "by3": np.int64([1, 1, 3, 1, 1]),
    "flat": np.int64([0, 6, -1, 4]),
    "order": np.repeat(np.arange(2), 3),
    "other": np.tile(np.arange(2), 3),
    "six": np.int64([1, 6, 1, 1]),
    "column": np.int64([0, 2, 1, -1, 4]),
    "rows": np.int64([-1, 5, 4]),
    "back": np.int64([2, 6, 4, 5]),
    "pairs": np.repeat(np.arange(2), 2),
    "three": np.int64([3]),
    "along3": np.int64([1, 1, 1, 3, 1]),
}
INSERTED = "{0}u = Unsqueeze({0}, two) {0}e = Expand({0}u, by3) {0}r = Reshape({0}e, flat) "
REPEATS = {
    "inserted": INSERTED,
    "tiled": INSERTED.replace("Expand", "Tile"),
    "joined": INSERTED.replace("Expand({0}u, by3)", "Concat<axis = 2>({0}u, {0}u, {0}u)"),
    "joined, counted from the last axis": INSERTED.replace(
        "Expand({0}u, by3)", "Concat<axis = -3>({0}u, {0}u, {0}u)"
    ),
    "inserted by a reshape": INSERTED.replace("Unsqueeze({0}, two)", "Reshape({0}, column)"),
    "gathered": "{0}r = Gather<axis = 1>({0}, order) ",
}
ATTEND = "y = Attention<scale = 0.4>(q, kr, vr, m)"


def attention(repeat: str, of_values: str = "", attend: str = ATTEND, key: str = "b,2,t,4"):
    body = repeat.format("k") + (of_values or repeat).format("v") + attend
    text = f"""g (float[b,6,s,4] q, float[{key}] k, float[{key}] v, float[s,t] m)
        => (float[b,6,s,4] y) {{ {body} }}"""
    return model(text, **NUMBERS)


@pytest.mark.parametrize("repeat", REPEATS.values(), ids=list(REPEATS))
def test_repeated_heads(repeat: str):
    given = attention(repeat)
    check_rule(GROUPED_QUERIES, given, LEFT, dims=SIZES, **CLOSE)
    check_shared(GROUPED_QUERIES, given, dims=SIZES, **CLOSE)


def test_one_head_for_all():
    given = attention("{0}r = Expand({0}, six) ", key="b,1,t,4")
    check_rule(GROUPED_QUERIES, given, LEFT, dims=SIZES, **CLOSE)


def test_keys_that_were_transposed_with_their_heads_folded():
    key = """ku = Unsqueeze(k, two) ke = Expand(ku, by3) kf = Reshape(ke, rows)
        kt = Transpose<perm = [0,2,1]>(kf) kx = Reshape(kt, back)
        kr = Transpose<perm = [0,1,3,2]>(kx) """
    text = f"""g (float[2,6,3,4] q, float[2,2,5,4] k, float[2,2,5,4] v, float[3,5] m)
        => (float[2,6,3,4] y) {{ {key} {INSERTED.format("v")} {ATTEND} }}"""
    check_rule(GROUPED_QUERIES, model(text, **NUMBERS), LEFT, **CLOSE)


@pytest.mark.parametrize(
    ("repeat", "of_values", "reason"),
    [
        ("{0}r = Gather<axis = 1>({0}, other) ", "", "the key heads are not repeated ones"),
        (
            INSERTED.replace("Unsqueeze({0}, two)", "Unsqueeze({0}, two)").replace(
                "Expand({0}u, by3)", "Concat<axis = 1>({0}u, {0}u, {0}u)"
            ),
            "",
            "the key heads are not repeated ones",
        ),
        (
            INSERTED.replace("Expand({0}u, by3)", "Concat<axis = 2>({0}u, {0}n, {0}u)").replace(
                "{0}e =", "{0}n = Neg({0}u) {0}e ="
            ),
            "",
            "the key heads are not repeated ones",
        ),
        (INSERTED, "{0}r = Gather<axis = 1>({0}, other) ", "but not the value heads"),
    ],
)
def test_other_heads(repeat: str, of_values: str, reason: str):
    check_miss(GROUPED_QUERIES, attention(repeat, of_values), reason)


@pytest.mark.parametrize(
    ("repeat", "key"),
    [
        ("{0}r = Gather<axis = 3>({0}, pairs) ", "b,2,t,2"),
        ("{0}r = Gather<axis = -1>({0}, pairs) ", "b,2,t,2"),
        (INSERTED.replace("two)", "three)").replace("by3", "along3"), "b,6,t,4"),
        ("{0}r = Gather<axis = 2>({0}, pairs) ", "b,2,4,4"),
    ],
)
def test_other_axes_are_no_heads(repeat: str, key: str):
    given = attention(repeat, key=key)
    check_miss(GROUPED_QUERIES, given, "the key heads are not repeated ones")


def test_repeated_rows_of_three_axes():
    """Where there is no axis of heads the second one is that of positions."""
    body = INSERTED.format("k") + INSERTED.format("v")
    text = f"""g (float[b,s,4] q, float[b,2,4] k, float[b,2,4] v, float[s,6] m)
        => (float[b,s,4] y) {{ {body}
        y = Attention<q_num_heads = 2, kv_num_heads = 2>(q, kr, vr, m) }}"""
    shapes = {"by3": np.int64([1, 1, 3, 1]), "flat": np.int64([0, 6, 4])}
    given = model(text, **{**NUMBERS, **shapes})
    check_miss(GROUPED_QUERIES, given, "the key heads are not repeated ones")


@pytest.mark.parametrize("repeat", [INSERTED, REPEATS["gathered"]])
def test_an_unknown_number_of_heads(repeat):
    given = attention(repeat, key="b,h,t,4")
    check_miss(GROUPED_QUERIES, given, "the key heads are not repeated ones")


@pytest.mark.parametrize("swaps", [("[0,2,1]", "[0,1,2,3]"), ("[0,1,2]", "[0,1,3,2]")])
def test_keys_whose_rows_are_transposed_once(swaps):
    key = """ku = Unsqueeze(k, two) ke = Expand(ku, by3) kf = Reshape(ke, square)
        kt = Transpose<perm = {}>(kf) kx = Reshape(kt, squares)
        kr = Transpose<perm = {}>(kx) """.format(*swaps)
    text = f"""g (float[2,6,3,4] q, float[2,2,4,4] k, float[2,2,4,4] v, float[3,4] m)
        => (float[2,6,3,4] y) {{ {key} {INSERTED.format("v")} {ATTEND} }}"""
    squares = {"square": np.int64([-1, 4, 4]), "squares": np.int64([2, 6, 4, 4])}
    given = model(text, **NUMBERS, **squares)
    check_miss(GROUPED_QUERIES, given, "the key heads are not repeated ones")


def test_keys_and_values_of_different_groups():
    text = f"""g (float[b,6,s,4] q, float[b,2,t,4] k, float[b,1,t,4] v) => (float[b,6,s,4] y) {{
        {INSERTED.format("k")} vr = Expand(v, six) y = Attention(q, kr, vr) }}"""
    check_miss(GROUPED_QUERIES, model(text, **NUMBERS), "keys and values are repeated differently")


def test_caches():
    head = """g (float[b,6,s,4] q, float[b,2,t,4] k, float[b,2,t,4] v, float[b,6,p,4] kp,
        float[b,6,p,4] vp) => (float[b,6,s,4] y"""
    repeats = INSERTED.format("k") + INSERTED.format("v")
    body = repeats + "y, kn, vn = Attention(q, kr, vr, , kp, vp)"
    given = model(f"{head}) {{ {body} }}", **NUMBERS)
    check_miss(GROUPED_QUERIES, given, "it has a cache of past keys")
    given = model(f"{head}) {{ {body.replace(', kp, vp', ', kp')} }}", **NUMBERS)
    check_miss(GROUPED_QUERIES, given, "it has a cache of past keys")
    body = repeats + "y, kn = Attention(q, kr, vr)"
    given = model(f"{head}, float[b,6,t,4] kn) {{ {body} }}", **NUMBERS)
    check_miss(GROUPED_QUERIES, given, "the present keys, with repeated heads, are read")
    given = model(f"{head}, float[b,6,t,4] z) {{ {body} z = Neg(kn) }}", **NUMBERS)
    check_miss(GROUPED_QUERIES, given, "the present keys, with repeated heads, are read")

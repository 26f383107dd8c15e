"""Self attention and its projection by com.microsoft.Attention."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.select.packed_attention import PACKED_ATTENTION
from tests.support.models import model, normal
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 5e-6, "rtol": 1e-5}
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
HEADS = "q_num_heads = 4, kv_num_heads = 4"
TEXT = """g (float[b,s,6] x, bool[b,1,s,s] seen, float[b,1,s,s] given) => (float[b,s,12] y) {
    a = MatMul(x, w) p = Add(a, c) q, k, v = Split<axis = 2, num_outputs = 3>(p)
    m = Where(seen, zero, low) z = Attention<HEADS>(q, k, v, m) y = Neg(z) }"""
WEIGHTS = {
    "w": normal(6, 36),
    "c": normal(36),
    "zero": np.float32(0),
    "low": np.float32(-1e30),
    "inf": np.float32(-np.inf),
}
MADE = {"Attention": 1, "Where": 1, "Neg": 1}


def attention(*changes: tuple[str, str], heads: str = HEADS):
    text = TEXT.replace("HEADS", heads)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return model(text, **WEIGHTS)


def test_projection_and_attention():
    after = check_rule(PACKED_ATTENTION, attention(), MADE, dims=SIZES, **CLOSE)
    assert [n.domain for n in after.graph if n.op_type == "Attention"] == ["com.microsoft"]
    check_shared(PACKED_ATTENTION, attention(), dims=SIZES, **CLOSE)


@pytest.mark.parametrize("heads", [HEADS, f"{HEADS}, scale = 0.3"])
def test_no_mask(heads: str):
    given = attention(
        ("(q, k, v, m)", "(q, k, v)"), ("m = Where(seen, zero, low)", ""), heads=heads
    )
    check_rule(PACKED_ATTENTION, given, {"Attention": 1, "Neg": 1}, dims=SIZES, **CLOSE)


def test_no_bias():
    given = attention(("p = Add(a, c)", ""), ("(p)", "(a)"))
    check_rule(PACKED_ATTENTION, given, MADE, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("change", "heads", "reason"),
    [
        (("v, m)", "v, seen)"), HEADS, "the mask is boolean"),
        (("v, m)", "v, given)"), HEADS, "may hide all keys of a query by minus infinity"),
        (("low)", "inf)"), HEADS, "may hide all keys of a query by minus infinity"),
        (("v, m)", "v, zero)"), HEADS, "the mask has not four axes"),
        (("(q, k, v", "(k, q, v"), HEADS, "are not the three pieces of one linear layer"),
        (("(q, k, v", "(x, k, v"), "q_num_heads = 2, kv_num_heads = 4", "several queries share"),
        (("(q, k, v", "(x, x, x"), "q_num_heads = 2, kv_num_heads = 2", "are not pieces of one"),
        (("MatMul(x, w)", "Gelu(e)"), HEADS, "are not made by a linear layer"),
        (("z = Att", "u = Neg(q) z = Att"), HEADS, "others read what the linear layer makes"),
        (("v, m)", "v, m)"), f"{HEADS}, is_causal = 1", "it is causal, or has a cache"),
        (("v, m)", "v, m)"), f"{HEADS}, softcap = 2.0", "its scores are capped"),
    ],
)
def test_what_is_not_packed(change: tuple[str, str], heads: str, reason: str):
    text = (
        TEXT.replace("HEADS", heads)
        .replace(*change)
        .replace("float[b,s,6] x", "float[b,s,6] x, float[b,s,36] e")
    )
    if "u = Neg" in text:
        text = text.replace("(float[b,s,12] y)", "(float[b,s,12] y, float[b,s,12] u)")
    if "(x, x, x" in text:
        text = text.replace("(float[b,s,12] y)", "(float[b,s,6] y)")
    check_miss(PACKED_ATTENTION, model(text, **WEIGHTS), reason)

"""Self attention and its projection by com.microsoft.Attention."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.compiler.rules.select.packed_attention import PACKED_ATTENTION
from tests.support.models import clone, model, normal
from tests.support.rules import apply, check_miss, check_rule, check_same, check_shared
from tests.support.run import run_ort

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
    "mixed": np.float32([0, 0, -np.inf, 0]).reshape(4, 1, 1),
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


def test_a_mask_that_is_expanded():
    given = attention(
        ("zero, low)", "zero, low) t = Shape(m) e = Expand(m, t)"), ("v, m)", "v, e)")
    )
    expected = {**MADE, "Shape": 1, "Expand": 1}
    check_rule(PACKED_ATTENTION, given, expected, dims=SIZES, **CLOSE)


def test_no_bias():
    given = attention(("p = Add(a, c)", ""), ("(p)", "(a)"))
    check_rule(PACKED_ATTENTION, given, MADE, dims=SIZES, **CLOSE)


KEYS = """g (float[b,s,6] x, bool[b,s] real) => (float[b,s,12] y) {
    a = MatMul(x, w) p = Add(a, c) q, k, v = Split<axis = 2, num_outputs = 3>(p)
    u = Unsqueeze(real, inner) m = Where(u, zero, low) n = Shape<start = 1, end = 2>(x)
    t = Concat<axis = 0>(n, one) r = Expand(m, t)
    z = Attention<HEADS>(q, k, v, r) y = Neg(z) }"""
INNER = {"inner": np.array([1, 2]), "one": np.array([1])}


@pytest.mark.parametrize(
    "change", [("", ""), ("(u, zero, low", "(u, low, zeros"), ("v, r", "v, m")]
)
def test_a_mask_of_keys(change: tuple[str, str]):
    """The kernel makes rows of it, and hides all keys of a sequence as the mask does."""
    text = KEYS.replace("HEADS", HEADS).replace(*change)
    sizes = SIZES[1:] if change[1] == "v, m" else SIZES
    given = model(text, **WEIGHTS, **INNER, zeros=np.zeros((1, 1), np.float32))
    after = clone(given)
    apply(PACKED_ATTENTION, after)
    (packed,) = (n for n in after.graph if n.op_type == "Attention")
    assert packed.domain == "com.microsoft"
    assert packed.attributes["mask_filter_value"].as_float() == np.float32(-1e30)
    assert [v is not None for v in packed.inputs] == [True, True, True, True]
    check_same(given, after, dims=sizes, **CLOSE)
    hidden = {"x": normal(2, 3, 6), "real": np.array([[False] * 3, [True, False, True]])}
    if sizes is SIZES:
        for before, now in zip(run_ort(given, hidden), run_ort(after, hidden), strict=True):
            np.testing.assert_allclose(now, before, **CLOSE)


@pytest.mark.parametrize(
    "change",
    [
        ("(u, zero, low)", "(u, zero, inf)"),
        ("(u, zero, low)", "(u, one_and_half, low)"),
        ("(u, zero, low)", "(u, zero, given)"),
        ("bool[b,s] real", "bool[c,s] real"),
    ],
)
def test_what_is_no_mask_of_keys(change: tuple[str, str]):
    text = KEYS.replace("HEADS", HEADS).replace(*change)
    text = text.replace("] real)", "] real, float[1] given)")
    given = model(text, **WEIGHTS, **INNER, one_and_half=np.float32(1.5))
    apply(PACKED_ATTENTION, given)
    assert all(len(n.inputs) < 4 or n.inputs[3] is None or not n.domain for n in given.graph)


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
        (("y = Neg(z)", "y = Neg(z) u = Neg(a)"), HEADS, "others read what the linear layer makes"),
        (("z = Att", "u = Neg(q) z = Att"), HEADS, "others read what the linear layer makes"),
        (("v, m)", "v, m)"), f"{HEADS}, is_causal = 1", "it is causal, or has a cache"),
        (("v, m)", "v, m, pk, pk)"), HEADS, "it is causal, or has a cache"),
        (("v, m)", "v, m)"), f"{HEADS}, softcap = 2.0", "its scores are capped"),
        (("v, m)", "v, m)"), f"{HEADS}, softmax_precision = 11", "softmax is in another precision"),
        (("low)", "mixed)"), HEADS, "may hide all keys of a query by minus infinity"),
    ],
)
def test_what_is_not_packed(change: tuple[str, str], heads: str, reason: str):
    text = (
        TEXT.replace("HEADS", heads)
        .replace(*change)
        .replace("float[b,s,6] x", "float[b,s,6] x, float[b,s,36] e, float[b,4,p,3] pk")
    )
    if "u = Neg" in text:
        text = text.replace("(float[b,s,12] y)", "(float[b,s,12] y, float[b,s,12] u)")
    if "(x, x, x" in text:
        text = text.replace("(float[b,s,12] y)", "(float[b,s,6] y)")
    check_miss(PACKED_ATTENTION, model(text, **WEIGHTS), reason)


@pytest.mark.parametrize(
    ("changes", "heads", "reason"),
    [
        (
            [("Add(a, c)", "Add(a, c3)")],
            HEADS,
            "the weight is no matrix or the bias no vector",
        ),
        (
            [("seen, zero, low)", "seen, zero, row)"), ("bool[b,1,s,s]", "bool[b,1,1,1]")],
            HEADS,
            "the mask is not known to have a row for each query and a column for each key",
        ),
        (
            [("Split<axis = 2, num_outputs = 3>(p)", "Split<axis = 2>(p, uneven)")],
            "q_num_heads = 4, kv_num_heads = 4",
            "query, key and value differ in size",
        ),
        (
            [
                ("Split<axis = 2, num_outputs = 3>(p)", "Split<axis = 1, num_outputs = 3>(p)"),
                ("[b,s,12] y", "[b,t,36] y"),
                ("(q, k, v, m)", "(q, k, v)"),
            ],
            HEADS,
            "the linear layer is not split into features",
        ),
    ],
)
def test_what_is_no_packed_projection(changes: list[tuple[str, str]], heads: str, reason: str):
    text = TEXT.replace("HEADS", heads)
    for change in changes:
        assert change[0] in text
        text = text.replace(*change)
    more = {
        "c3": normal(1, 1, 36),
        "row": np.full((1, 1, 1, 5), -1e30, np.float32),
        "uneven": np.array([8, 8, 20]),
    }
    if "uneven" in text:
        text = text.replace("[b,s,12] y", "[b,s,20] y")
    check_miss(PACKED_ATTENTION, model(text, **WEIGHTS, **more), reason)


def test_a_stack_of_weights_stays():
    given = attention(("p = Add(a, c)", ""), ("(p)", "(a)"), ("[b,s,6]", "[2,s,6]"))
    stack = normal(2, 6, 36)
    given.graph.initializers["w"].const_value = ir.tensor(stack, name="w")
    given.graph.initializers["w"].shape = ir.Shape(stack.shape)
    check_miss(PACKED_ATTENTION, given, "the weight is no matrix or the bias no vector")

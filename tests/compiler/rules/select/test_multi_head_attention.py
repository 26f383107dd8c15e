"""Attention of many keys by MultiHeadAttention."""

from __future__ import annotations

import pytest

from sardonyx.compiler.rules.select.multi_head_attention import MULTI_HEAD_ATTENTION
from tests.support.models import model
from tests.support.rules import check_miss, check_rule, check_shared

CLOSE = {"atol": 2e-6, "rtol": 1e-5}
SIZES = [{"b": 2, "s": 3}, {"b": 1, "s": 1}]
QKV = "float[b,s,12] q, float[b,1024,12] k, float[b,1024,8] v"
HEADS = "q_num_heads = 4, kv_num_heads = 4"


def attention(attributes: str = HEADS, operands: str = "q, k, v", inputs: str = QKV):
    text = f"""g ({inputs}) => (float[b,s,8] y) {{
        a = Attention<{attributes}>({operands}) y = Neg(a) }}"""
    return model(text)


@pytest.mark.parametrize("attributes", [HEADS, f"{HEADS}, scale = 0.3"])
def test_many_keys(attributes: str):
    given = attention(attributes)
    expected = {"MultiHeadAttention": 1, "Neg": 1}
    check_rule(MULTI_HEAD_ATTENTION, given, expected, dims=SIZES, **CLOSE)
    check_shared(MULTI_HEAD_ATTENTION, given, dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("attributes", "operands", "inputs", "reason"),
    [
        (HEADS, "q, k, v", QKV.replace("1024", "1023"), "no known number of keys of 1024"),
        (HEADS, "q, k, v", QKV.replace("1024", "t"), "no known number of keys of 1024"),
        (HEADS, "q, k, v, m", QKV + ", float[s,1024] m", "it has a mask or a cache"),
        (f"{HEADS}, is_causal = 1", "q, k, v", QKV, "it is causal"),
        (f"{HEADS}, softcap = 2.0", "q, k, v", QKV, "its scores are capped"),
        (f"{HEADS}, softmax_precision = 11", "q, k, v", QKV, "softmax is in another precision"),
        (
            "q_num_heads = 4, kv_num_heads = 2",
            "q, k, v",
            QKV.replace("1024,12", "1024,6").replace("1024,8", "1024,4"),
            "several queries share a key",
        ),
        (HEADS, "q, k, v", QKV.replace("float", "float16"), "computes in single precision"),
    ],
)
def test_what_the_kernel_is_not_faster_for(attributes, operands, inputs, reason):
    kind = "float16" if "float16" in inputs else "float"
    text = f"""g ({inputs}) => ({kind}[b,s,8] y) {{
        a = Attention<{attributes}>({operands}) y = Neg(a) }}"""
    check_miss(MULTI_HEAD_ATTENTION, model(text), reason)


def test_heads_on_an_axis_of_their_own():
    text = """g (float[b,4,s,3] q, float[b,4,1024,3] k) => (float[b,4,s,3] y) {
        y = Attention(q, k, k) }"""
    check_miss(MULTI_HEAD_ATTENTION, model(text), "their heads on an axis of their own")


def test_a_size_of_heads_that_is_not_known():
    text = f"""g (float[b,s,n] q, float[b,1024,n] k) => (float[b,s,n] y) {{
        y = Attention<{HEADS}>(q, k, k) }}"""
    check_miss(MULTI_HEAD_ATTENTION, model(text), "the size of a head is not known")

"""Attention of many keys without a mask by ONNX Runtime's MultiHeadAttention.

On the CPU that kernel goes block by block through the keys (flash attention), where the one for
ONNX's Attention writes all scores to memory.
"""

from __future__ import annotations

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rewrite import Match, No, no, rest, rule

LEAST_KEYS = 1_024
"""From how many keys on it pays: `benchmarks/fusions.py` has the measurements."""


def _by_blocks(op: Builder, m: Match) -> ir.Value:
    """Attention without a mask is com.microsoft.MultiHeadAttention."""
    heads = m.attention.q_num_heads
    scale = m.attention.scale or (m.query.shape[-1] // heads) ** -0.5
    made: ir.Value = op.call(
        "MultiHeadAttention",
        m.query,
        m.key,
        m.content,
        domain="com.microsoft",
        num_heads=heads,
        scale=float(scale),
    )
    return made


def _has_many_keys(m: Match) -> bool | No:
    query, key = m.query, m.key
    if query.dtype != ir.DataType.FLOAT:
        return no("the kernel computes in single precision", query)
    if any(v.shape is None or len(v.shape) != 3 for v in (query, key, m.content)):
        return no("its operands have their heads on an axis of their own", query)
    if any(v is not None for v in m.more):
        return no("it has a mask or a cache, which the kernel has no fast path for", query)
    if m.attention.is_causal:
        return no("it is causal, which the kernel has no fast path for", query)
    if m.attention.softcap or m.attention.softmax_precision not in {None, ir.DataType.FLOAT}:
        return no("its scores are capped, or their softmax is in another precision", query)
    if m.attention.q_num_heads != m.attention.kv_num_heads:
        return no("several queries share a key", key)
    if not isinstance(query.shape[-1], int):
        return no("the size of a head is not known", query)
    keys = key.shape[1]
    if not isinstance(keys, int) or keys < LEAST_KEYS:
        return no(f"it has no known number of keys of {LEAST_KEYS} or more", key)
    return True


MULTI_HEAD_ATTENTION = rule(
    "multi_head_attention",
    lambda op: op.Attention("query", "key", "content", rest("more"), attributes="attention"),
    _by_blocks,
    _has_many_keys,
)

"""Keys and values that are joined to those of before: Attention takes the cache as it is.

It joins them itself, and its other results are the cache for the step after: `present_key` and
`present_value`.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.scope import subgraphs
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.attention.reading import is_same_dim

_LENGTH = 2
"""The axis of the positions in [batch, heads, length, size]."""


def _with_cache(op: Builder, m: Match) -> dict[ir.Value, ir.Value]:
    """Attention of past keys before new ones is Attention with a cache."""
    y, key, value = op.Attention(
        m.query,
        m.key,
        m.content,
        m.more[0] if m.more else None,
        m.past_key,
        m.past_value,
        attributes=m.attention,
        outputs=3,  # ONNX Runtime demands them where there is a cache.
    )
    return {m.root.outputs[0]: y, m.keys.node.outputs[0]: key, m.values.node.outputs[0]: value}


def _can_take(m: Match) -> bool | No:
    if any(v is not None for v in m.more[1:]):
        return no("it has a cache of past keys already", m.more[1])
    if any(node.graph is not m.root.graph for node in m.nodes):
        return no("the keys are joined outside of the subgraph", m.key)
    for what, joined, now in (("keys", m.keys, m.key), ("values", m.values, m.content)):
        dims = now.shape
        if dims is None or len(dims) != 4:
            return no(f"the past {what} have no axis of their own for the heads", now)
        if joined.axis % 4 != _LENGTH:
            return no(f"the {what} are joined to others along axis {joined.axis % 4}", now)
    if not is_same_dim(m.key.shape[_LENGTH], m.content.shape[_LENGTH]):
        return no("new keys and new values are not known to be equally many", m.content)
    if m.attention.is_causal:
        return no("the first query sees the first past key only, as if there were no past", m.query)
    operands = (m.query, m.key, m.content, m.past_key, m.past_value, *m.more)
    joined = {node.outputs[0] for node in m.nodes}
    return not _is_made_of(operands, joined) or no("its operands are made of its keys", m.query)


def _is_made_of(values: Iterable[ir.Value | None], sources: set[ir.Value]) -> bool:
    """Say whether values are computed from others, or are these."""
    pending, seen = list(values), set[ir.Node]()
    while pending:
        value = pending.pop()
        if value in sources:
            return True
        node = value.producer() if value is not None else None
        if node is not None and node not in seen:
            seen.add(node)
            pending += node.inputs
            inner = [each for graph in subgraphs(node) for each in graph.all_nodes()]
            pending += [v for each in inner for v in each.inputs]
    return False


KV_CACHE = rule(
    "kv_cache",
    lambda op: op.Attention(
        "query",
        op.Concat("past_key", "key", attributes="keys"),
        op.Concat("past_value", "content", attributes="values"),
        rest("more"),
        attributes="attention",
    ),
    _with_cache,
    _can_take,
    keeps_shared=True,  # The joined keys are the cache of the next step.
)

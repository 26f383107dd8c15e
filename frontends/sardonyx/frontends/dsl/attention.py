"""Attention, on the ONNX operator of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sardonyx.frontends.dsl import sizes
from sardonyx.frontends.dsl.emit import emit
from sardonyx.frontends.dsl.errors import DslError
from sardonyx.frontends.dsl.layers import fixed_size, linear, positive
from sardonyx.frontends.dsl.symbol import describe, describe_all, require_tensor
from sardonyx.frontends.dsl.trace import current, layer

if TYPE_CHECKING:
    from sardonyx.frontends.dsl.tensor import Tensor


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Return softmax(scale * query @ key.T + mask) @ value for each head.

    Args:
        query: [batch, heads, length, size].
        key: [batch, heads or a divisor of it, other length, size].
        value: [batch, heads of key, other length, size of the result].
        mask: Broadcasts to [batch, heads, length, other length]: bool (True: attend) or added.
        causal: Whether position i sees only positions up to i.
        scale: 1 / sqrt(size) by default.

    Raises:
        DslError: Ranks, batch, heads or sizes do not fit.
    """
    listed = (query, key, value)
    require_tensor(*listed)
    if any(x.rank != 4 for x in listed):
        raise DslError(
            "attention needs heads on axis 1.",
            found=describe_all(*listed),
            expected="three tensors [batch, heads, length, size]",
            remedy="x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2), or use "
            "dsl.multi_head_attention",
        )
    declared = current().declared
    fits = [(query, key, 0), (key, value, 0), (key, value, 1), (key, value, 2), (query, key, 3)]
    for a, b, axis in fits:
        if sizes.differ(a.dims[axis], b.dims[axis], declared):
            raise DslError(
                f"The operands of attention differ on axis {axis}.",
                found=describe_all(a, b),
                expected="query [b, h, s, d], key [b, g, t, d], value [b, g, t, e]",
                remedy="transpose or reshape one of them",
            )
    mask = None if mask is None else _whole_mask(query, key, mask)
    return emit(
        "Attention",
        query,
        key,
        value,
        mask,
        is_causal=int(causal) or None,
        scale=scale,
        dims=[*query.dims[:3], value.dims[3]],
    )


def multi_head_attention(
    x: Tensor,
    heads: int,
    *,
    context: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool = False,
    kv_heads: int | None = None,
    bias: bool = True,
    name: str | None = None,
) -> Tensor:
    """Return multi-head attention of x to itself, or to `context`, projected back to its size.

    Args:
        x: [batch, length, features], features fixed and a multiple of `heads`.
        heads: Number of heads.
        context: [batch, other length, any features] that is attended to; x by default.
        mask: Broadcasts to [batch, heads, length, other length]: bool (True: attend) or added.
        causal: Whether position i sees only positions up to i.
        kv_heads: Fewer heads for key and value, each shared by heads / kv_heads queries.
        bias: Whether the four projections have one.
        name: Name of the layer, by default "attention".

    Parameters made: weight and bias of query, key, value, output, each as `linear` has them.

    Raises:
        DslError: Ranks are not 3, or features and heads are not divisible.
    """
    few = heads if kv_heads is None else kv_heads
    for what, count in (("heads", heads), ("kv_heads", few)):
        positive("multi_head_attention", what, count)
    source = x if context is None else context
    require_tensor(x, source)
    if x.rank != 3 or source.rank != 3:
        raise DslError(
            "multi_head_attention needs a sequence.",
            found=describe_all(x, source),
            expected="[batch, length, features]",
            remedy="insert the missing axis, for example the batch: x[None]",
        )
    features = fixed_size(x, -1, "multi_head_attention")
    if features % heads or heads % few:
        raise DslError(
            "multi_head_attention cannot divide this into heads.",
            found=f"{features} features, {heads} heads, {few} kv_heads, {describe(x)}",
            expected="features a multiple of heads, and heads of kv_heads",
            remedy="choose other heads, or project to another size with dsl.linear first",
        )
    mask = None if mask is None else _whole_mask(x, source, mask)
    with layer("attention", name):
        mixed = emit(
            "Attention",
            linear(x, features, bias=bias, name="query"),
            linear(source, features // heads * few, bias=bias, name="key"),
            linear(source, features // heads * few, bias=bias, name="value"),
            mask,
            q_num_heads=heads,
            kv_num_heads=few,
            is_causal=int(causal) or None,
            dims=x.dims,
        )
        return linear(mixed, features, bias=bias, name="output")


def _whole_mask(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """Return a mask whose last two sizes are the lengths, which ONNX Runtime demands."""
    require_tensor(mask)
    declared = current().declared
    lengths = query.dims[-2], key.dims[-2]
    fits = mask.rank in (2, 3, 4) and not any(
        sizes.differ(a, b, declared) and a != 1
        for a, b in zip(mask.dims[-2:], lengths, strict=False)
    )
    if not fits or not (mask.dtype.name == "bool_" or mask.dtype == query.dtype):
        raise DslError(
            "The mask does not fit the attention.",
            found=describe(mask),
            expected=f"bool_ or {query.dtype}, [..., {lengths[0]}, {lengths[1]}], rank 2 to 4",
            remedy="insert axes as in mask[:, None, None, :]",
        )
    if mask.rank == 3:
        mask = mask[None]
    if all(sizes.same(a, b) for a, b in zip(mask.dims[-2:], lengths, strict=True)):
        return mask
    return mask.expand(*mask.shape[:-2], query.shape[-2], key.shape[-2])

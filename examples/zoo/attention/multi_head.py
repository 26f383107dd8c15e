"""Multi-head attention: Vaswani et al., "Attention is all you need" (2017)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", "length", 24], keep=dsl.bool_["batch", "length"])
def self_attention(x, keep, heads=4):
    """Several attentions side by side, each on a projection of its own; padding is not seen."""
    return dsl.multi_head_attention(x, heads, mask=keep[:, None, None], name="attention")


@dsl.model(x=dsl.f32["batch", "length", 24], context=dsl.f32["batch", "keys", 24])
def cross_attention(x, context, heads=4):
    """Queries from one sequence, keys and values from another."""
    return dsl.multi_head_attention(x, heads, context=context, name="attention")

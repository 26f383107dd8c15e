"""BERT: Devlin et al., "BERT: pre-training of deep bidirectional transformers" (2018)."""

from sardonyx.frontends import dsl


def norm(x, name):
    return dsl.layer_norm(x, eps=1e-12, name=name)


def layer(x, keep, heads):
    """An encoder layer: attention to all that is no padding, then two linear layers."""
    size = x.shape[-1]
    x = norm(x + dsl.multi_head_attention(x, heads, mask=keep, name="attention"), "ln_1")
    wide = dsl.gelu(dsl.linear(x, 4 * size, name="mlp.expand"))
    return norm(x + dsl.linear(wide, size, name="mlp.project"), "ln_2")


@dsl.model(
    tokens=dsl.i64["batch", "length"],
    segments=dsl.i64["batch", "length"],
    keep=dsl.bool_["batch", "length"],
)
def bert(tokens, segments, keep, *, vocabulary=30522, size=768, heads=12, layers=12):
    """The Transformer's encoder: every token sees every other, both ways."""
    x = dsl.embedding(tokens, vocabulary, size, name="token_table")
    x = x + dsl.embedding(segments, 2, size, name="segment_table")
    x = x + dsl.embedding(dsl.arange(tokens.shape[1]), 512, size, name="places")
    x = norm(x, "ln")
    for i in range(layers):
        with dsl.scope(f"layers.{i}"):
            x = layer(x, keep[:, None, None], heads)
    pooled = dsl.tanh(dsl.linear(x[:, 0], size, name="pooler"))
    return {"states": x, "pooled": pooled}

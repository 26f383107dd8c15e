"""GPT: Radford et al., "Language models are unsupervised multitask learners" (2019)."""

from sardonyx.frontends import dsl


def attend(x, heads, past):
    """Attention to the tokens up to each one, and to those before in the cache; the new cache."""
    batch, length, size = x.shape
    with dsl.scope("attention"):
        query, *new = (
            dsl.linear(x, size, name=name).reshape(batch, length, heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        key, value = (dsl.concat([old, now], axis=2) for old, now in zip(past, new, strict=True))
        seen = dsl.arange(key.shape[2]) <= (dsl.arange(length) + past[0].shape[2])[:, None]
        mixed = dsl.attention(query, key, value, mask=seen).transpose(1, 2).flatten(2)
        return dsl.linear(mixed, size, name="output"), dsl.stack([key, value])


def block(x, heads, past):
    mixed, cache = attend(dsl.layer_norm(x, name="ln_1"), heads, past)
    x = x + mixed
    wide = dsl.linear(dsl.layer_norm(x, name="ln_2"), 4 * x.shape[-1], name="mlp.expand")
    return x + dsl.linear(dsl.gelu(wide, "tanh"), x.shape[-1], name="mlp.project"), cache


@dsl.model(tokens=dsl.i64["batch", "length"], past=dsl.f32[12, 2, "batch", 12, "before", 64])
def gpt(tokens, past, vocabulary=50257, context=1024):
    """The Transformer's decoder with a cache: a step computes only what is new."""
    layers, _, _, heads, before, size = past.shape
    table = dsl.parameter("tokens.weight", (vocabulary, heads * size), dsl.init.normal())
    places = dsl.arange(tokens.shape[1]) + before
    x = dsl.embedding(tokens, vocabulary, heads * size, weight=table)
    x = x + dsl.embedding(places, context, heads * size, name="places")
    caches = []
    for layer in range(layers):
        with dsl.scope(f"layers.{layer}"):
            x, cache = block(x, heads, past[layer])
        caches.append(cache)
    logits = dsl.linear(dsl.layer_norm(x, name="ln"), vocabulary, bias=False, weight=table)
    return {"logits": logits, "cache": dsl.stack(caches)}

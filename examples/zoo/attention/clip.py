"""CLIP: Radford et al., "Learning transferable visual models from natural language supervision"
(2021)."""

from examples.zoo.attention.vit import block, encode
from sardonyx.frontends import dsl


def unit(x):
    """x divided by its length."""
    return x / dsl.sqrt((x * x).sum(-1, keepdims=True))


@dsl.model(image=dsl.f32["images", 3, 224, 224], tokens=dsl.i64["texts", 77])
def clip(image, tokens, *, patch=32, size=512, heads=8, layers=12, shared=512, vocabulary=49408):
    """Two towers, one for images and one for texts, meet in one space, where what fits is near."""
    with dsl.scope("visual"):
        seen = encode(image, patch, size, heads, layers)[:, 0]
        seen = unit(dsl.linear(seen, shared, bias=False, name="projection"))
    with dsl.scope("textual"):
        x = dsl.embedding(tokens, vocabulary, size, name="tokens")
        x = x + dsl.parameter("places", (1, tokens.shape[1], size), dsl.init.normal())
        for i in range(layers):
            with dsl.scope(f"layers.{i}"):
                x = block(x, heads, causal=True, eps=1e-5)
        x = dsl.layer_norm(x, name="ln")
        # The last token of a text is the one with the largest number.
        last = dsl.op.GatherND(x, dsl.argmax(tokens)[:, None], batch_dims=1)
        said = unit(dsl.linear(last, shared, bias=False, name="projection"))
    scale = dsl.exp(dsl.parameter("scale", (), dsl.init.constant(2.6593)))
    return {"logits": scale * seen @ said.T, "images": seen, "texts": said}

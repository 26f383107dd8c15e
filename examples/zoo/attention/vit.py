"""ViT: Dosovitskiy et al., "An image is worth 16x16 words" (2020)."""

from sardonyx.frontends import dsl


def block(x, heads, *, eps=1e-6, causal=False, approximate="none"):
    """A Transformer block that normalises before each half."""
    size = x.shape[-1]
    near = dsl.layer_norm(x, eps=eps, name="ln_1")
    x = x + dsl.multi_head_attention(near, heads, causal=causal, name="attention")
    wide = dsl.linear(dsl.layer_norm(x, eps=eps, name="ln_2"), 4 * size, name="mlp.expand")
    return x + dsl.linear(dsl.gelu(wide, approximate), size, name="mlp.project")


def encode(image, patch, size, heads, layers):
    """An image [batch, 3, h, w] as a sequence of patches, a class token before them."""
    x = dsl.conv(image, size, patch, stride=patch, name="patches").flatten(2).transpose(1, 2)
    first = dsl.parameter("class_token", (1, 1, size), dsl.init.normal())
    x = dsl.concat([first.expand(x.shape[0], 1, size), x], axis=1)
    x = x + dsl.parameter("places", (1, x.shape[1], size), dsl.init.normal())
    for i in range(layers):
        with dsl.scope(f"layers.{i}"):
            x = block(x, heads)
    return dsl.layer_norm(x, eps=1e-6, name="ln")


@dsl.model(image=dsl.f32["batch", 3, 224, 224])
def vit(image, *, patch=16, size=768, heads=12, layers=12, classes=1000):
    """An image is a sentence of patches: the encoder of a Transformer, no convolution but one."""
    return dsl.linear(encode(image, patch, size, heads, layers)[:, 0], classes, name="head")

"""A small GPT in the language: scopes, shared weights, causal attention, dynamic sizes.

Its parameters have the names that `gpt.parameters()` prints; `gpt.load(state)` takes a PyTorch
state_dict that uses the same ones.
"""

import numpy as np

from sardonyx import compiler, runtime
from sardonyx.frontends import dsl

VOCABULARY, CONTEXT, SIZE, HEADS, LAYERS = 256, 64, 48, 4, 2


def block(x):
    x = x + dsl.multi_head_attention(dsl.layer_norm(x, name="ln_1"), HEADS, causal=True)
    wide = dsl.gelu(dsl.linear(dsl.layer_norm(x, name="ln_2"), 4 * SIZE, name="expand"), "tanh")
    return x + dsl.linear(wide, SIZE, name="project")


@dsl.model(ids=dsl.i64["batch", "length"])
def gpt(ids):
    table = dsl.parameter("tokens.weight", (VOCABULARY, SIZE), dsl.init.normal(0.02))
    places = dsl.embedding(dsl.arange(ids.shape[1]), CONTEXT, SIZE, name="places")
    x = dsl.embedding(ids, VOCABULARY, SIZE, weight=table) + places
    for layer in range(LAYERS):
        with dsl.scope(f"layers.{layer}"):
            x = block(x)
    return {"logits": dsl.linear(dsl.layer_norm(x), VOCABULARY, weight=table, bias=False)}


if __name__ == "__main__":
    for name, parameter in gpt.parameters().items():
        print(f"{name:40} {list(parameter.shape)}")
    session = runtime.load(compiler.compile(gpt))
    ids = np.frombuffer(b"the next letter is", np.uint8).astype(np.int64)[None]
    (logits,) = session(ids)
    print("after", ids.shape, "letters:", logits.shape, "finite:", bool(np.isfinite(logits).all()))

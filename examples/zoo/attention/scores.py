"""Attention by its four scores.

Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation"
(2015): dot product and general; Bahdanau, Cho and Bengio, "Neural machine translation by jointly
learning to align and translate" (2014): additive; Vaswani et al., "Attention is all you need"
(2017): scaled.
"""

from sardonyx.frontends import dsl

SEQUENCES = {
    "query": dsl.f32["batch", "length", 16],
    "key": dsl.f32["batch", "keys", 16],
    "value": dsl.f32["batch", "keys", 12],
}


@dsl.model(**SEQUENCES)
def dot_product(query, key, value):
    """Keys are looked at as much as they point where the query does."""
    return dsl.softmax(query @ key.transpose()) @ value


@dsl.model(**SEQUENCES)
def scaled_dot_product(query, key, value):
    """The same divided by the root of the size, which keeps the softmax soft; one operator."""
    return dsl.attention(query[:, None], key[:, None], value[:, None])[:, 0]


@dsl.model(**SEQUENCES)
def linear_scores(query, key, value):
    """Between query and key a learned linear map: query @ weight @ key."""
    return dsl.softmax(query @ dsl.linear(key, 16, bias=False).transpose()) @ value


@dsl.model(**SEQUENCES)
def additive(query, key, value, hidden=20):
    """A layer of neurons looks at each query and key together."""
    near = dsl.linear(query, hidden, bias=False, name="query")[:, :, None]
    far = dsl.linear(key, hidden, bias=False, name="key")[:, None]
    scores = dsl.linear(dsl.tanh(near + far), 1, bias=False, name="score")
    return dsl.softmax(scores[..., 0]) @ value

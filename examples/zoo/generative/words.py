"""Vectors of words.

Mikolov et al., "Efficient estimation of word representations in vector space" and "Distributed
representations of words and phrases and their compositionality" (2013); Pennington, Socher and
Manning, "GloVe: global vectors for word representation" (2014).
"""

from sardonyx.frontends import dsl


def sampled_loss(seen, target, noise, vocabulary, features):
    """Negative sampling: tell the target from words drawn as noise, by a logistic regression."""
    table = dsl.parameter("output.weight", (vocabulary, features))
    scores = (dsl.embedding(target, vocabulary, features, weight=table) * seen).sum(-1)
    wrong = dsl.embedding(noise, vocabulary, features, weight=table) @ seen[:, :, None]
    return dsl.softplus(-scores) + dsl.softplus(wrong.squeeze(-1)).sum(-1)


@dsl.model(context=dsl.i64["batch", 4], target=dsl.i64["batch"], noise=dsl.i64["batch", 5])
def cbow(context, target, noise, vocabulary=10000, features=100):
    """A bag of words: the mean of those around it foretells the one in the middle."""
    seen = dsl.embedding(context, vocabulary, features, name="input").mean(1)
    return sampled_loss(seen, target, noise, vocabulary, features)


@dsl.model(word=dsl.i64["batch"], context=dsl.i64["batch"], noise=dsl.i64["batch", 5])
def skip_gram(word, context, noise, vocabulary=10000, features=100):
    """The word in the middle foretells each of those around it."""
    seen = dsl.embedding(word, vocabulary, features, name="input")
    return sampled_loss(seen, context, noise, vocabulary, features)


@dsl.model(word=dsl.i64["batch"], context=dsl.i64["batch"], count=dsl.f32["batch"])
def glove(word, context, count, vocabulary=10000, features=100):
    """Products of vectors that equal the logarithms of how often words meet, by least squares."""

    def look_up(words, name):
        vector = dsl.embedding(words, vocabulary, features, name=name)
        return vector, dsl.embedding(words, vocabulary, 1, name=f"{name}_bias")[:, 0]

    (w, b), (v, c) = look_up(word, "word"), look_up(context, "context")
    weight = dsl.minimum(1.0, (count / 100) ** 0.75)
    return {"loss": (weight * ((w * v).sum(-1) + b + c - dsl.log(count)) ** 2).mean()}

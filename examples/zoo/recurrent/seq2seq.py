"""Encoder and decoder: Sutskever, Vinyals and Le, "Sequence to sequence learning with neural
networks" (2014); with the units of Cho et al. (2014).

`translator` decodes greedily inside the graph. For `beams.search`, which decodes outside of it,
there are `encoder` and `decoder`, with the same parameters.
"""

from sardonyx.frontends import dsl

START, END = 0, 1


@dsl.model(source=dsl.i64["batch", "length"])
def encoder(source, vocabulary=8000, units=256):
    """N tokens to one state, [1, batch, units]."""
    words = dsl.embedding(source, vocabulary, units, name="source_words")
    return dsl.gru(words.transpose(0, 1), units, name="encoder")[1]


@dsl.model(tokens=dsl.i64["beams"], state=dsl.f32[1, "beams", 256])
def decoder(tokens, state, vocabulary=8000, units=256):
    """One step of a decoder, for a search outside of the graph."""
    words = dsl.embedding(tokens, vocabulary, units, name="target_words")
    _, state = dsl.gru(words[None], units, state, name="decoder")
    scores = dsl.log_softmax(dsl.linear(state[0], vocabulary, name="scores"))
    return {"scores": scores, "next_state": state}


@dsl.model(source=dsl.i64["batch", "length"], limit=dsl.i64)
def translator(source, limit, vocabulary=8000, units=256):
    """N to M: one network reads, another writes, greedily, until all sentences have ended."""

    def step(i, tokens, total, state):
        scores, state = decoder(tokens[:, -1], state, vocabulary=vocabulary, units=units).values()
        has_ended = tokens[:, -1] == END
        token = dsl.where(has_ended, END, dsl.argmax(scores))
        total = total + dsl.where(has_ended, 0.0, scores.max(-1))
        return dsl.concat([tokens, token[:, None]]), total, state

    def is_writing(tokens, total, state):
        return (tokens[:, -1] != END).cast(dsl.i64).max() == 1

    batch = source.shape[0]
    first = dsl.full((batch, 1), START, dsl.i64)
    state = encoder(source, vocabulary=vocabulary, units=units)
    tokens, total, _ = dsl.loop(limit, step, first, dsl.zeros([batch]), state, while_=is_writing)
    return {"tokens": tokens, "score": total}

"""Tagging: Huang, Xu and Yu, "Bidirectional LSTM-CRF models for sequence tagging" (2015), without
the CRF."""

from sardonyx.frontends import dsl


@dsl.model(tokens=dsl.i64["batch", "length"])
def tagger(tokens, vocabulary=10000, units=128, tags=17):
    """Many to many: a tag for each word, from all words before and behind it."""
    words = dsl.embedding(tokens, vocabulary, units)
    read, _ = dsl.lstm(words.transpose(0, 1), units, bidirectional=True)
    return dsl.linear(read.transpose(0, 1), tags)

"""Recurrent layers, each in three forms that give the same numbers: ONNX's operator, the steps one
after the other in a `scan` of the graph, and the steps unrolled.

Elman, "Finding structure in time" (1990); Schuster and Paliwal, "Bidirectional recurrent neural
networks" (1997); Hochreiter and Schmidhuber, "Long short-term memory" (1997); Cho et al.,
"Learning phrase representations using RNN encoder-decoder" (2014).
"""

from examples.zoo.recurrent import steps
from sardonyx.frontends import dsl

FORMS = {
    "operator": steps.by_operator,
    "scan": steps.by_scan,
    "unrolled": steps.unrolled,
}
FRAMES = dsl.f32["time", "batch", 32]


@dsl.model(x=FRAMES)
def vanilla_rnn(x, units=64, form="operator"):
    """A state that is made of each frame and of the state before it."""
    return FORMS[form]("rnn", x, units)


@dsl.model(x=FRAMES)
def bidirectional_rnn(x, units=64, form="operator"):
    """Two vanilla networks, one from each end: each output knows past and future."""
    return FORMS[form]("rnn", x, units, bidirectional=True)


@dsl.model(x=FRAMES)
def lstm(x, units=64, form="operator"):
    """A cell that gates write, keep and read, so that gradients live for long."""
    return FORMS[form]("lstm", x, units)


@dsl.model(x=FRAMES)
def gru(x, units=64, form="operator"):
    """Two gates and no cell of its own: what an LSTM does, with less."""
    return FORMS[form]("gru", x, units)


@dsl.model(x=FRAMES)
def bilstm(x, units=64, form="operator"):
    """Two long short-term memories, one from each end."""
    return FORMS[form]("lstm", x, units, bidirectional=True)

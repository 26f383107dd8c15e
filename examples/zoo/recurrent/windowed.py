"""A perceptron over windows of time: Waibel et al., "Phoneme recognition using time-delay neural
networks" (1989)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", "time", 20])
def windowed(x, hidden=64):
    """Feed-forward over time: each answer sees a frame and its two neighbours, and no state."""
    windows = dsl.concat([x[:, :-2], x[:, 1:-1], x[:, 2:]], axis=-1)
    return dsl.linear(dsl.tanh(dsl.linear(windows, hidden)), 10)

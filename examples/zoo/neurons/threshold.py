"""Neurons that fire or do not.

McCulloch and Pitts, "A logical calculus of the ideas immanent in nervous activity" (1943);
Rosenblatt, "The perceptron" (1958).
"""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 8])
def mcculloch_pitts(x):
    """A weighted sum against a threshold: the sign says whether the neuron fires."""
    weight = dsl.parameter("weight", (8,))
    threshold = dsl.parameter("threshold", ())
    return dsl.sign((x * weight).sum(-1) - threshold)


@dsl.model(x=dsl.f32["batch", 8])
def perceptron(x, features=3):
    """Several neurons that share their inputs, with a step from 0 to 1."""
    return (dsl.linear(x, features) >= 0).cast(dsl.f32)

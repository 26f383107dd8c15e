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
def sign_perceptron(x):
    """Neurons that share their inputs, each with a learned weight and bias, and say -1 or 1."""
    return dsl.sign(dsl.linear(x, 3))


@dsl.model(x=dsl.f32["batch", 8])
def step_perceptron(x):
    """The same with a step: a comparison gives bools, a cast makes 0 and 1 of them."""
    return (dsl.linear(x, 3) >= 0).cast(dsl.f32)

"""Layers of neurons.

Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986);
Minsky and Papert, "Perceptrons" (1969), on what one layer cannot say.
"""

from sardonyx.frontends import dsl

ACTIVATIONS = {
    "sign": dsl.sign,
    "sigmoid": dsl.sigmoid,
    "tanh": dsl.tanh,
    "relu": dsl.relu,
    "leaky_relu": dsl.leaky_relu,
    "gelu": dsl.gelu,
    "softmax": dsl.softmax,
}


@dsl.model(x=dsl.f32["batch", 12])
def single_layer(x):
    """One layer of sigmoid neurons: a logistic regression for each output."""
    return dsl.sigmoid(dsl.linear(x, 4))


@dsl.model(x=dsl.f32["batch", 2])
def exclusive_or(x):
    """What no single layer can say: exclusive or, with two neurons behind it."""
    return dsl.sigmoid(dsl.linear(dsl.relu(dsl.linear(x, 2, name="hidden")), 1, name="output"))


@dsl.model(x=dsl.f32["batch", 12])
def mlp(x, hidden=(32, 16), activation="relu"):
    """The multi-layer perceptron: each layer sees all of the one before."""
    for features in hidden:
        x = ACTIVATIONS[activation](dsl.linear(x, features))
    return dsl.linear(x, 4)

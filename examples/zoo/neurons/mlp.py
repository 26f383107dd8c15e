"""The multi-layer perceptron: Rumelhart, Hinton and Williams, "Learning representations by
back-propagating errors" (1986)."""

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
def mlp(x, hidden=(32, 16), activation="relu"):
    """Layers of neurons, each of which sees all of the layer before."""
    for features in hidden:
        x = ACTIVATIONS[activation](dsl.linear(x, features))
    return dsl.linear(x, 4)

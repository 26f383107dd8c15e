"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition" (1998)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 1, 28, 28])
def lenet5(x):
    """Convolutions that share their weights over the image, subsampling, then a perceptron."""
    x = dsl.avg_pool(dsl.tanh(dsl.conv(x, 6, 5, padding=2)), 2)
    x = dsl.avg_pool(dsl.tanh(dsl.conv(x, 16, 5)), 2)
    x = dsl.tanh(dsl.linear(x.flatten(), 120))
    return dsl.linear(dsl.tanh(dsl.linear(x, 84)), 10)

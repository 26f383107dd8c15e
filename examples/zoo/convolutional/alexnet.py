"""AlexNet: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 3, 224, 224])
def alexnet(x, width=64, hidden=4096, classes=1000):
    """Large kernels first, ReLU, and dropout before each large linear layer."""
    with dsl.scope("features"):
        x = dsl.max_pool(dsl.relu(dsl.conv(x, width, 11, stride=4, padding=2)), 3, 2)
        x = dsl.max_pool(dsl.relu(dsl.conv(x, 3 * width, 5, padding=2)), 3, 2)
        for channels in (6 * width, 4 * width, 4 * width):
            x = dsl.relu(dsl.conv(x, channels, 3, padding=1))
        x = dsl.adaptive_avg_pool(dsl.max_pool(x, 3, 2), 6).flatten()
    with dsl.scope("classifier"):
        for _ in range(2):
            x = dsl.relu(dsl.linear(dsl.dropout(x), hidden))
        return dsl.linear(x, classes)

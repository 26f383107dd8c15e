"""VGG: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition" (2014)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 3, 224, 224])
def vgg(x, depths=(2, 2, 3, 3, 3), width=64, hidden=4096, classes=1000):
    """Small kernels only, in stages that halve the image and double the channels."""
    for stage, depth in enumerate(depths):
        for _ in range(depth):
            x = dsl.relu(dsl.conv(x, width * min(2**stage, 8), 3, padding=1))
        x = dsl.max_pool(x, 2)
    x = dsl.adaptive_avg_pool(x, 7).flatten()
    for _ in range(2):
        x = dsl.dropout(dsl.relu(dsl.linear(x, hidden)))
    return dsl.linear(x, classes)

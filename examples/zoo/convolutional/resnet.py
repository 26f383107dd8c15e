"""ResNet: He et al., "Deep residual learning for image recognition" (2015), "Identity mappings in
deep residual networks" (2016, its 200 layers); ResNeXt: Xie et al., "Aggregated residual
transformations for deep neural networks" (2016).

Parameters are named as in torchvision: its checkpoints load.
"""

from sardonyx.frontends import dsl


def unit(x, channels, kernel, stride=1, *, groups=1, name="1"):
    """A convolution and its norm."""
    padding = kernel // 2
    conv = f"conv{name}"
    x = dsl.conv(x, channels, kernel, stride, padding, groups=groups, bias=False, name=conv)
    return dsl.batch_norm(x, name=f"bn{name}")


def shortcut(x, channels, stride):
    """x where its shape fits, else a 1x1 convolution of it."""
    if stride == 1 and x.shape[1] == channels:
        return x
    x = dsl.conv(x, channels, 1, stride, bias=False, name="downsample.0")
    return dsl.batch_norm(x, name="downsample.1")


def basic(x, channels, stride, cardinality):
    """Two 3x3 convolutions."""
    y = unit(dsl.relu(unit(x, channels, 3, stride)), channels, 3, name="2")
    return dsl.relu(y + shortcut(x, channels, stride))


def bottleneck(x, channels, stride, cardinality):
    """A 3x3 convolution, whole or in groups, between two 1x1 that narrow and widen."""
    inner = channels if cardinality == 1 else 2 * channels
    y = dsl.relu(unit(x, inner, 1))
    y = dsl.relu(unit(y, inner, 3, stride, groups=cardinality, name="2"))
    return dsl.relu(unit(y, 4 * channels, 1, name="3") + shortcut(x, 4 * channels, stride))


@dsl.model(x=dsl.f32["batch", 3, 224, 224])
def resnet(x, *, block=bottleneck, depths=(3, 4, 6, 3), width=64, cardinality=1, classes=1000):
    """Blocks that learn what to add to their input, so that 200 layers train."""
    x = dsl.max_pool(dsl.relu(unit(x, width, 7, 2)), 3, 2, 1)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            with dsl.scope(f"layer{stage + 1}.{i}"):
                stride = 2 if i == 0 and stage > 0 else 1
                x = block(x, width * 2**stage, stride, cardinality)
    return dsl.linear(dsl.global_avg_pool(x).flatten(), classes, name="fc")

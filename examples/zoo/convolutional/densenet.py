"""DenseNet: Huang et al., "Densely connected convolutional networks" (2016)."""

from sardonyx.frontends import dsl


def unit(x, channels, kernel, name):
    """Norm, activation, convolution: the other way round than most."""
    x = dsl.relu(dsl.batch_norm(x, name=f"norm{name}"))
    padding = kernel // 2
    return dsl.conv(x, channels, kernel, 1, padding, bias=False, name=f"conv{name}")


@dsl.model(x=dsl.f32["batch", 3, 224, 224])
def densenet(x, depths=(6, 12, 24, 16), growth=32, classes=1000):
    """Each layer reads the results of all layers before it in its stage."""
    with dsl.scope("features"):
        x = dsl.conv(x, 2 * growth, 7, 2, 3, bias=False, name="conv0")
        x = dsl.max_pool(dsl.relu(dsl.batch_norm(x, name="norm0")), 3, 2, 1)
        for stage, depth in enumerate(depths, start=1):
            for i in range(1, depth + 1):
                with dsl.scope(f"denseblock{stage}.denselayer{i}"):
                    new = unit(unit(x, 4 * growth, 1, "1"), growth, 3, "2")
                    x = dsl.concat([x, new], axis=1)
            if stage < len(depths):
                with dsl.scope(f"transition{stage}"):
                    x = dsl.avg_pool(unit(x, x.shape[1] // 2, 1, ""), 2)
        x = dsl.relu(dsl.batch_norm(x, name="norm5"))
    return dsl.linear(dsl.global_avg_pool(x).flatten(), classes, name="classifier")

"""GoogLeNet: Szegedy et al., "Going deeper with convolutions" (2014), with batch norms."""

from sardonyx.frontends import dsl

WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Of each inception: 1x1, 3x3 reduced, 3x3, second 3x3 reduced, second 3x3, after pooling."""


def unit(x, channels, kernel, stride=1, *, name):
    with dsl.scope(name):
        x = dsl.conv(x, channels, kernel, stride, kernel // 2, bias=False)
        return dsl.relu(dsl.batch_norm(x, eps=1e-3))


def inception(x, widths, name):
    with dsl.scope(name):
        return dsl.concat(
            [
                unit(x, widths[0], 1, name="branch1"),
                unit(unit(x, widths[1], 1, name="branch2.0"), widths[2], 3, name="branch2.1"),
                unit(unit(x, widths[3], 1, name="branch3.0"), widths[4], 3, name="branch3.1"),
                unit(dsl.max_pool(x, 3, 1, 1), widths[5], 1, name="branch4"),
            ],
            axis=1,
        )


@dsl.model(x=dsl.f32["batch", 3, 224, 224])
def googlenet(x, inceptions=WIDTHS, shrink=1, classes=1000):
    """Inception: kernels of several sizes side by side, each behind a 1x1 that saves work."""
    x = dsl.max_pool(unit(x, 64 // shrink, 7, 2, name="conv1"), 3, 2, ceil_mode=True)
    x = unit(unit(x, 64 // shrink, 1, name="conv2"), 192 // shrink, 3, name="conv3")
    x = dsl.max_pool(x, 3, 2, ceil_mode=True)
    for name, widths in inceptions.items():
        if name in ("4a", "5a"):
            x = dsl.max_pool(x, 3 if name == "4a" else 2, 2, ceil_mode=True)
        x = inception(x, [n // shrink for n in widths], f"inception{name}")
    x = dsl.dropout(dsl.global_avg_pool(x).flatten(), 0.2)
    return dsl.linear(x, classes, name="fc")

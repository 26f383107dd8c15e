"""MobileNetV2: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018)."""

from sardonyx.frontends import dsl

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Of each stage: how much wider inside, channels, depth, stride."""


def unit(x, channels, kernel, stride=1, groups=1):
    x = dsl.conv(x, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return dsl.batch_norm(x)


def relu6(x):
    return dsl.clip(x, 0.0, 6.0)


def inverted(x, wider, channels, stride):
    """Wide inside, narrow outside; the 3x3 sees each channel alone."""
    y = relu6(unit(x, wider * x.shape[1], 1)) if wider > 1 else x
    y = relu6(unit(y, y.shape[1], 3, stride, groups=y.shape[1]))
    y = unit(y, channels, 1)
    return x + y if stride == 1 and x.shape[1] == channels else y


@dsl.model(x=dsl.f32["batch", 3, 224, 224])
def mobilenet(x, stages=STAGES, first=32, last=1280, classes=1000):
    """Depthwise convolutions, and residuals between the narrow ends of blocks."""
    with dsl.scope("features"):
        x = relu6(unit(x, first, 3, 2))
        for wider, channels, depth, stride in stages:
            for i in range(depth):
                x = inverted(x, wider, channels, stride if i == 0 else 1)
        x = relu6(unit(x, last, 1))
    x = dsl.dropout(dsl.global_avg_pool(x).flatten(), 0.2)
    return dsl.linear(x, classes, name="classifier")

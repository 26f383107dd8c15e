"""C3D: Tran et al., "Learning spatiotemporal features with 3D convolutional networks" (2014)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 3, 16, 112, 112])
def c3d(x, depths=(1, 1, 2, 2, 2), width=64, hidden=4096, classes=487):
    """Convolution and pooling over time as over space: what moves in 16 frames."""
    for stage, depth in enumerate(depths):
        for _ in range(depth):
            x = dsl.relu(dsl.conv(x, width * min(2**stage, 8), 3, padding=1))
        window = (1, 2, 2) if stage == 0 else 2
        x = dsl.max_pool(x, window, padding=(0, 1, 1) if stage == len(depths) - 1 else 0)
    x = dsl.adaptive_avg_pool(x, (1, 4, 4)).flatten()
    for _ in range(2):
        x = dsl.dropout(dsl.relu(dsl.linear(x, hidden)))
    return dsl.linear(x, classes)

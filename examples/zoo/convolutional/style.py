"""Style transfer: Johnson, Alahi and Fei-Fei, "Perceptual losses for real-time style transfer and
super-resolution" (2016), with the instance norms of Ulyanov et al. (2016)."""

from sardonyx.frontends import dsl


def unit(x, channels, kernel, stride=1):
    """A border of reflections, a convolution, and each image's own contrast taken out."""
    border = kernel // 2
    x = dsl.pad(x, [0, 0, border, border], mode="reflect")
    return dsl.instance_norm(dsl.conv(x, channels, kernel, stride))


@dsl.model(x=dsl.f32["batch", 3, "4*height", "4*width"])
def style_transfer(x, width=32, depth=5):
    """An image in, the same in one painter's style out: instance norms forget the contrast."""
    x = dsl.relu(unit(x, width, 9))
    for scale in (2, 4):
        x = dsl.relu(unit(x, scale * width, 3, 2))
    for _ in range(depth):
        x = x + unit(dsl.relu(unit(x, 4 * width, 3)), 4 * width, 3)
    for scale in (2, 1):
        x = dsl.relu(unit(dsl.resize(x, 2), scale * width, 3))
    return dsl.conv(dsl.pad(x, [0, 0, 4, 4], mode="reflect"), 3, 9)

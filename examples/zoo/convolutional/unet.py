"""U-Net: Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image
segmentation" (2015), with padding and batch norms."""

from sardonyx.frontends import dsl


def double(x, channels, name):
    with dsl.scope(name):
        for _ in range(2):
            x = dsl.conv(x, channels, 3, padding=1, bias=False)
            x = dsl.relu(dsl.batch_norm(x))
    return x


@dsl.model(x=dsl.f32["batch", 3, "16*height", "16*width"])
def unet(x, width=64, depth=4, classes=2):
    """Down to see far, up to be precise, and each level of the way down joins the way up."""
    skips = []
    for level in range(depth):
        x = double(x, width * 2**level, f"down{level}")
        skips.append(x)
        x = dsl.max_pool(x, 2)
    x = double(x, width * 2**depth, "bottom")
    for level, skip in reversed(list(enumerate(skips))):
        x = dsl.conv_transpose(x, width * 2**level, 2, 2, name=f"up{level}")
        x = double(dsl.concat([skip, x], axis=1), width * 2**level, f"join{level}")
    return dsl.conv(x, classes, 1, name="scores")

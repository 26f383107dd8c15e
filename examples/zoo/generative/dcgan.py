"""Two networks against each other: Goodfellow et al., "Generative adversarial nets" (2014); of
convolutions: Radford, Metz and Chintala, "Unsupervised representation learning with deep
convolutional generative adversarial networks" (2016)."""

from sardonyx.frontends import dsl


@dsl.model(z=dsl.f32["batch", 100])
def generator(z, width=64):
    """From noise to an image of 64 x 64: transposed convolutions, each twice as large."""
    x = z[:, :, None, None]
    for channels, stride, padding in ((8, 1, 0), (4, 2, 1), (2, 2, 1), (1, 2, 1)):
        x = dsl.conv_transpose(x, channels * width, 4, stride, padding, bias=False)
        x = dsl.relu(dsl.batch_norm(x))
    return dsl.tanh(dsl.conv_transpose(x, 3, 4, 2, 1, bias=False))


@dsl.model(image=dsl.f32["batch", 3, 64, 64])
def discriminator(image, width=64):
    """From an image to the chance that it is a real one: convolutions, each half as large."""
    x = dsl.leaky_relu(dsl.conv(image, width, 4, 2, 1, bias=False), 0.2)
    for channels in (2, 4, 8):
        x = dsl.batch_norm(dsl.conv(x, channels * width, 4, 2, 1, bias=False))
        x = dsl.leaky_relu(x, 0.2)
    return dsl.sigmoid(dsl.conv(x, 1, 4, bias=False)).flatten()

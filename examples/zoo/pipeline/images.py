"""What happens to images before a network sees them, as a part of the graph: from bytes
[batch, height, width, 3], as cameras and files give them, to [batch, 3, size, size]."""

from sardonyx.frontends import dsl

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LUMA = [0.299, 0.587, 0.114]
BYTES = dsl.u8["batch", "height", "width", 3]


def unit(images):
    """Channels first, from 0 to 1."""
    return images.permute(0, 3, 1, 2).cast(dsl.f32) / 255


def normalise(x):
    mean, deviation = (dsl.constant(v, dsl.f32).reshape(3, 1, 1) for v in (MEAN, DEVIATION))
    return (x - mean) / deviation


@dsl.model(images=BYTES)
def preprocess(images, resized=256, size=224):
    """For deployment: resize, crop the middle, scale, normalise, from bytes."""
    x = dsl.resize(unit(images), size=resized, mode="linear", antialias=True)
    start = (resized - size) // 2
    return normalise(x[:, :, start : start + size, start : start + size])


def warp(x, place, is_flipped, size):
    """Rotate, scale, move and flip each image, and resize all: one sampling does it.

    `place` is [batch, 4]: an angle, a factor, and two distances in halves of the image.
    """
    angle, zoom, right, down = (place[:, i] for i in range(4))
    cos, sin = dsl.cos(angle) / zoom, dsl.sin(angle) / zoom
    side = dsl.where(is_flipped, -1.0, 1.0)
    rows = [[cos * side, -sin, right], [sin * side, cos, down]]
    where = dsl.stack([dsl.stack(row, axis=1) for row in rows], axis=1)
    return dsl.grid_sample(x, dsl.affine_grid(where, (size, size)), padding="reflection")


def jitter(x, colours):
    """Change brightness, contrast and saturation by colours [batch, 3]: 1 leaves them alone."""

    def mix(x, other, number):
        share = colours[:, number, None, None, None]
        return dsl.clip(x * share + other * (1 - share), 0, 1)

    def grey(x):
        return (x * dsl.constant(LUMA, dsl.f32).reshape(3, 1, 1)).sum(1, keepdims=True)

    x = mix(x, 0.0, 0)
    x = mix(x, grey(x).mean((2, 3), keepdims=True), 1)
    return mix(x, grey(x), 2)


@dsl.model(
    images=BYTES,
    place=dsl.f32["batch", 4],
    is_flipped=dsl.bool_["batch"],
    colours=dsl.f32["batch", 3],
)
def augment(images, place, is_flipped, colours, size=224):
    """For training: rotate, scale, move, flip and jitter colours, as it is told for each image."""
    return normalise(jitter(warp(unit(images), place, is_flipped, size), colours))


@dsl.model(images=BYTES)
def augment_at_random(images, size=224):
    """For training: what `augment` does, by numbers drawn in the graph, which are outputs too."""
    batch = images.shape[0]
    low, high = dsl.constant([-0.3, 0.8, -0.1, -0.1]), dsl.constant([0.3, 1.25, 0.1, 0.1])
    drawn = {
        "place": low + (high - low) * dsl.random.uniform([batch, 4]),
        "is_flipped": dsl.random.uniform([batch]) < 0.5,
        "colours": dsl.random.uniform([batch, 3], 0.6, 1.4),
    }
    return {"x": augment(images, size=size, **drawn), **drawn}

"""What all detectors share: boxes as corners, left, top, right, bottom, in pixels."""

from sardonyx.frontends import dsl


def centres(rows, columns, stride):
    """The middle of each cell of a grid, row by row: [cells, 2]."""
    cell = dsl.arange(rows * columns)
    places = dsl.stack([cell % columns, cell // columns], axis=-1)
    return (places.cast(dsl.f32) + 0.5) * stride


def decode(deltas, centre, size):
    """Boxes around `centre`, moved and scaled by deltas [..., 4] in units of `size`."""
    centre = centre + deltas[..., :2] * size
    size = dsl.exp(deltas[..., 2:]) * size
    return dsl.concat([centre - size / 2, centre + size / 2])


def clip(boxes, height, width):
    """Boxes cut off at the borders of an image."""
    borders = dsl.constant([1.0, 0, 1, 0]) * width + dsl.constant([0, 1.0, 0, 1]) * height
    return dsl.minimum(dsl.maximum(boxes, 0.0), borders)


def suppress(boxes, scores, most, overlap, least=0.0):
    """The best of the boxes that overlap: [kept, 3], the image, the class and the box of each.

    `boxes` is [images, boxes, 4], `scores` [images, classes, boxes].
    """
    return dsl.op.NonMaxSuppression(boxes, scores, most, overlap, least)


def detections(boxes, scores, most, overlap, least=0.0):
    """What is found after suppression, by image and by class, the likeliest first."""
    kept = suppress(boxes, scores, most, overlap, least)
    image, kind, box = (kept[:, i] for i in range(3))
    return {
        "number": image,
        "kind": kind,
        "box": boxes[image, box],
        "score": scores[image, kind, box],
    }

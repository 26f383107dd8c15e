"""YOLO, tiny, of version 2: Redmon and Farhadi, "YOLO9000: better, faster, stronger" (2017)."""

import numpy as np

from examples.zoo.detection import boxes
from sardonyx.frontends import dsl

STRIDE = 32
ANCHORS = np.float32([[1.08, 1.19], [3.42, 4.41], [6.63, 11.38], [9.42, 5.11], [16.62, 10.52]])
"""Width and height of the boxes that each cell starts from, in cells."""

WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 1024)


@dsl.model(image=dsl.f32["batch", 3, "32*rows", "32*columns"])
def yolo(image, classes=20, widths=WIDTHS, most=10):
    """One look: each cell of a grid says at once where boxes are, and what is in them."""
    x = image
    for layer, width in enumerate(widths):
        x = dsl.batch_norm(dsl.conv(x, width, 3, padding=1, bias=False))
        x = dsl.leaky_relu(x, 0.1)
        x = dsl.max_pool(x, 2) if layer < 5 else x
    x = dsl.conv(x, len(ANCHORS) * (5 + classes), 1)

    batch, _, rows, columns = x.shape
    cells = x.reshape(batch, len(ANCHORS), 5 + classes, -1).transpose()
    corner = boxes.centres(rows, columns, STRIDE) - STRIDE / 2
    centre = corner + dsl.sigmoid(cells[..., :2]) * STRIDE
    size = dsl.exp(cells[..., 2:4]) * (ANCHORS[:, None] * STRIDE)
    found = dsl.concat([centre - size / 2, centre + size / 2]).reshape(batch, -1, 4)
    scores = dsl.sigmoid(cells[..., 4:5]) * dsl.softmax(cells[..., 5:])
    scores = scores.reshape(batch, -1, classes).transpose()
    return boxes.detections(found, scores, most, overlap=0.45)

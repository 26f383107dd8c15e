"""SSD: Liu et al., "SSD: single shot multibox detector" (2016), on VGG-16."""

import numpy as np

from examples.zoo.detection import boxes
from sardonyx.frontends import dsl

RATIOS = ((1, 2, 1 / 2), (1, 2, 1 / 2, 3, 1 / 3))
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
EXTRAS = ((256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0))


def pyramid(x, blocks, extras, hidden):
    """Maps of an image, each coarser than the one before."""
    maps = []
    for number, (width, depth) in enumerate(blocks):
        for _ in range(depth):
            x = dsl.relu(dsl.conv(x, width, 3, padding=1))
        if number == 3:
            scale = dsl.parameter("scale", (width,), dsl.init.constant(20.0))
            length = dsl.sqrt((x * x).sum(1, keepdims=True) + 1e-12)
            maps.append(x / length * scale.reshape(-1, 1, 1))
        x = dsl.max_pool(x, 2, ceil_mode=True) if number < 4 else dsl.max_pool(x, 3, 1, 1)
    x = dsl.relu(dsl.conv(x, hidden, 3, padding=6, dilation=6))
    maps.append(dsl.relu(dsl.conv(x, hidden, 1)))
    for narrow, wide, stride, padding in extras:
        x = dsl.relu(dsl.conv(maps[-1], narrow, 1))
        maps.append(dsl.relu(dsl.conv(x, wide, 3, stride, padding)))
    return maps


def priors(side, level, levels):
    """Where the boxes of a map start from: centres and sizes, as shares of the image."""
    scale, next_scale = (0.2 + 0.7 * (level + i) / (levels - 1) for i in range(2))
    ratios = np.sqrt(RATIOS[0 < level < levels - 2])
    sizes = [(scale * r, scale / r) for r in ratios] + [(np.sqrt(scale * next_scale),) * 2]
    middle = (np.arange(side) + 0.5) / side
    y, x = np.meshgrid(middle, middle, indexing="ij")
    cells = np.stack([x, y], -1).reshape(-1, 1, 2).repeat(len(sizes), 1)
    return np.concatenate([cells, np.broadcast_to(sizes, cells.shape)], -1).reshape(-1, 4)


@dsl.model(image=dsl.f32["batch", 3, 300, 300])
def ssd(image, *, classes=21, blocks=BLOCKS, extras=EXTRAS, hidden=1024, most=10):
    """Boxes of all sizes in one pass: coarse maps find what is large, fine ones what is small."""
    deltas, scores, starts = [], [], []
    maps = pyramid(image, blocks, extras, hidden)
    for level, x in enumerate(maps):
        start = priors(x.shape[2], level, len(maps))
        each = len(start) // x.shape[2] ** 2
        for heads, name, features in ((deltas, "deltas", 4), (scores, "scores", classes)):
            head = dsl.conv(x, each * features, 3, padding=1, name=f"{name}_{level}")
            heads.append(head.permute(0, 2, 3, 1).reshape(x.shape[0], len(start), features))
        starts.append(start)
    start = np.concatenate(starts).astype(np.float32) * image.shape[3]
    found = boxes.decode(dsl.concat(deltas, 1) * [0.1, 0.1, 0.2, 0.2], start[:, :2], start[:, 2:])
    chances = dsl.softmax(dsl.concat(scores, 1))[..., 1:]  # class 0 is the background
    return boxes.detections(found, chances.transpose(), most, overlap=0.45, least=0.01)

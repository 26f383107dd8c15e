"""Faster R-CNN: Ren et al., "Faster R-CNN: towards real-time object detection with region proposal
networks" (2015), on VGG-16; with RoIAlign of He et al., "Mask R-CNN" (2017)."""

import numpy as np

from examples.zoo.detection import boxes
from sardonyx.frontends import dsl

STRIDE = 16
SIZES, RATIOS = (128, 256, 512), (0.5, 1, 2)
ANCHORS = np.float32([(s * r**-0.5, s * r**0.5) for r in RATIOS for s in SIZES])
"""Width and height of the boxes that each cell starts from, in pixels."""

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def backbone(x, blocks):
    for number, (width, depth) in enumerate(blocks):
        x = dsl.max_pool(x, 2) if number else x
        for _ in range(depth):
            x = dsl.relu(dsl.conv(x, width, 3, padding=1))
    return x


def propose(x, width, most, anchors):
    """Boxes in which there may be something, [n, 4], from each anchor of each cell."""
    _, _, rows, columns = x.shape
    hidden = dsl.relu(dsl.conv(x, width, 3, padding=1, name="hidden"))
    chances = dsl.sigmoid(dsl.conv(hidden, len(anchors), 1, name="chances"))
    deltas = dsl.conv(hidden, 4 * len(anchors), 1, name="deltas")
    deltas = deltas.permute(0, 2, 3, 1).reshape(1, -1, len(anchors), 4)
    centre = boxes.centres(rows, columns, STRIDE)[:, None]
    found = boxes.decode(deltas, centre, anchors).reshape(1, -1, 4)
    found = boxes.clip(found, STRIDE * rows, STRIDE * columns)
    order = chances.permute(0, 2, 3, 1).reshape(1, 1, -1)
    return found[0, boxes.suppress(found, order, most, overlap=0.7)[:, 2]]


@dsl.model(image=dsl.f32[1, 3, "16*rows", "16*columns"])
def faster_rcnn(image, *, classes=21, blocks=BLOCKS, hidden=1024, proposals=100, most=10, shrink=1):
    """Two looks: one network proposes regions, another says what is in each, and moves its box."""
    x = backbone(image, blocks)
    with dsl.scope("proposals"):
        regions = propose(x, blocks[-1][0], proposals, ANCHORS / shrink)
    which = dsl.zeros([regions.shape[0]], dsl.i64)  # all are of one image
    sizes = {"output_height": 7, "output_width": 7, "sampling_ratio": 2}
    cut = dsl.op.RoiAlign(x, regions, which, spatial_scale=1 / STRIDE, **sizes)
    seen = cut.flatten()
    for _ in range(2):
        seen = dsl.relu(dsl.linear(seen, hidden))
    chances = dsl.softmax(dsl.linear(seen, classes, name="chances"))[:, 1:]  # 0 is the background
    deltas = dsl.linear(seen, 4 * (classes - 1), name="deltas").reshape(-1, classes - 1, 4)
    centre, size = (regions[:, :2] + regions[:, 2:]) / 2, regions[:, 2:] - regions[:, :2]
    found = boxes.decode(deltas * [0.1, 0.1, 0.2, 0.2], centre[:, None], size[:, None])
    found = boxes.clip(found, image.shape[2], image.shape[3])
    # Each class has boxes of its own: to the operator it is an image with one class.
    result = boxes.detections(found.transpose(0, 1), chances.T[:, None], most, 0.5, 0.01)
    return {"kind": result["number"], "box": result["box"], "score": result["score"]}

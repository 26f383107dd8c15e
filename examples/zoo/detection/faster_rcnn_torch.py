"""Faster R-CNN of `faster_rcnn.py` in PyTorch."""

import torch
from torch import nn

from examples.zoo.detection.boxes_torch import (
    Numbered,
    chained,
    clip,
    decode,
    detections,
    keep,
    roi_align,
)
from examples.zoo.detection.faster_rcnn import BLOCKS, RATIOS, SIZES, STRIDE


class Proposals(nn.Module):
    def __init__(self, width, most, shrink):
        super().__init__()
        count = len(SIZES) * len(RATIOS)
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.chances, self.deltas = nn.Conv2d(width, count, 1), nn.Conv2d(width, 4 * count, 1)
        self.most, self.shrink = most, shrink

    def forward(self, x):
        rows, columns = x.shape[2:]
        hidden = self.hidden(x).relu()
        deltas = self.deltas(hidden)[0].movedim(0, -1).reshape(-1, 4)
        anchors = [
            ((column + 0.5) * STRIDE, (row + 0.5) * STRIDE, size / ratio**0.5, size * ratio**0.5)
            for row in range(rows)
            for column in range(columns)
            for ratio in RATIOS
            for size in (size / self.shrink for size in SIZES)
        ]
        boxes = clip(decode(deltas, torch.tensor(anchors)), rows * STRIDE, columns * STRIDE)
        chances = self.chances(hidden)[0].movedim(0, -1).flatten().sigmoid()
        return boxes[keep(boxes, chances, self.most, 0.7, 0.0)]


class FasterRcnn(Numbered):
    def __init__(self, *, classes=21, blocks=BLOCKS, hidden=1024, proposals=100, most=10, shrink=1):
        super().__init__()
        self.backbone, before = [], 3
        for width, depth in blocks:
            self.backbone += [nn.MaxPool2d(2)] if self.backbone else []
            for _ in range(depth):
                self.backbone += [self.numbered(before, width, 3, padding=1), nn.ReLU()]
                before = width
        self.proposals = Proposals(before, proposals, shrink)
        self.linear = nn.Linear(before * 49, hidden)
        self.linear_1 = nn.Linear(hidden, hidden)
        self.chances = nn.Linear(hidden, classes)
        self.deltas = nn.Linear(hidden, 4 * (classes - 1))
        self.most = most

    def forward(self, image):
        x = chained(self.backbone, image)
        regions = self.proposals(x)
        seen = roi_align(x, regions, 7, 1 / STRIDE).flatten(1)
        seen = self.linear_1(self.linear(seen).relu()).relu()
        chances = self.chances(seen).softmax(-1)[:, 1:]
        deltas = self.deltas(seen).unflatten(1, (-1, 4)) * torch.tensor([0.1, 0.1, 0.2, 0.2])
        start, end = regions[:, :2], regions[:, 2:]
        prior = torch.cat([(start + end) / 2, end - start], 1)[:, None]
        boxes = clip(decode(deltas, prior), *image.shape[2:])
        found = detections(boxes.movedim(0, 1), chances.mT[:, None], self.most, 0.5, 0.01)
        kind, _, box, score = found
        return kind, box, score

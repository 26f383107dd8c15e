"""YOLO of `yolo.py` in PyTorch."""

import torch
from torch import nn

from examples.zoo.detection.boxes_torch import detections
from examples.zoo.detection.yolo import ANCHORS, STRIDE, WIDTHS


class Yolo(nn.Module):
    def __init__(self, classes=20, widths=WIDTHS, most=10):
        super().__init__()
        layers, before = [], 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
            layers += [nn.LeakyReLU(0.1)]
            layers += [nn.MaxPool2d(2) if len(layers) < 20 else nn.Identity()]
            before = width
        last = nn.Conv2d(before, len(ANCHORS) * (5 + classes), 1)
        self.layers = nn.Sequential(*layers, last)
        self.most = most

    def forward(self, image):
        batch = len(image)
        x = self.layers(image).unflatten(1, (len(ANCHORS), -1)).movedim(2, -1)
        rows, columns = x.shape[2:4]
        y, shift = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centre = (torch.stack([shift, y], -1) + x[..., :2].sigmoid()) * STRIDE
        sides = torch.from_numpy(ANCHORS)[:, None, None] * STRIDE * x[..., 2:4].exp()
        boxes = torch.cat([centre - sides / 2, centre + sides / 2], -1).reshape(batch, -1, 4)
        scores = x[..., 4:5].sigmoid() * x[..., 5:].softmax(-1)
        return detections(boxes, scores.flatten(1, 3).mT, self.most, 0.45)

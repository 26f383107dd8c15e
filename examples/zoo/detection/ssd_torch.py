"""SSD of `ssd.py` in PyTorch."""

from itertools import product

import torch
from torch import nn
from torch.nn import functional

from examples.zoo.detection.boxes_torch import Numbered, chained, decode, detections
from examples.zoo.detection.ssd import BLOCKS, EXTRAS


class Ssd(Numbered):
    def __init__(self, *, classes=21, blocks=BLOCKS, extras=EXTRAS, hidden=1024, most=10):
        super().__init__()
        self.most = most
        stages, before = [], 3
        for width, depth in blocks:
            stages.append([])
            for _ in range(depth):
                stages[-1] += [self.numbered(before, width, 3, padding=1), nn.ReLU()]
                before = width
        pools = [nn.MaxPool2d(2, ceil_mode=True)] * 4 + [nn.MaxPool2d(3, 1, 1)]
        self.fine = [m for i in range(3) for m in (*stages[i], pools[i])] + stages[3]
        self.coarse = [pools[3], *stages[4], pools[4]]
        self.coarse += [self.numbered(before, hidden, 3, padding=6, dilation=6), nn.ReLU()]
        self.coarse += [self.numbered(hidden, hidden, 1), nn.ReLU()]
        self.extras, sizes = [], [blocks[3][0], hidden]
        for narrow, wide, stride, padding in extras:
            first = self.numbered(sizes[-1], narrow, 1)
            second = self.numbered(narrow, wide, 3, stride=stride, padding=padding)
            self.extras.append([first, nn.ReLU(), second, nn.ReLU()])
            sizes.append(wide)
        self.scale = nn.Parameter(20 + torch.randn(blocks[3][0]))
        last = len(sizes) - 1
        self.anchors = [6 if 0 < level < last - 1 else 4 for level in range(last + 1)]
        for level, (size, count) in enumerate(zip(sizes, self.anchors, strict=True)):
            for name, features in (("deltas", 4), ("scores", classes)):
                head = nn.Conv2d(size, count * features, 3, padding=1)
                self.add_module(f"{name}_{level}", head)

    def forward(self, image):
        fine = chained(self.fine, image)
        maps = [functional.normalize(fine, dim=1) * self.scale[:, None, None]]
        maps.append(chained(self.coarse, fine))
        for extra in self.extras:
            maps.append(chained(extra, maps[-1]))
        deltas, scores = (
            torch.cat([self.head(x, name, level) for level, x in enumerate(maps)], 1)
            for name in ("deltas", "scores")
        )
        start = torch.tensor(list(self.priors([x.shape[2] for x in maps])))
        boxes = decode(deltas * torch.tensor([0.1, 0.1, 0.2, 0.2]), start) * image.shape[3]
        return detections(boxes, scores.softmax(-1)[..., 1:].mT, self.most, 0.45, 0.01)

    def head(self, x, name, level):
        made = getattr(self, f"{name}_{level}")(x)
        return made.movedim(1, -1).reshape(len(x), -1, made.shape[1] // self.anchors[level])

    def priors(self, sides):
        steps = 0.7 / (len(sides) - 1)
        for level, side in enumerate(sides):
            scale, after = 0.2 + steps * level, 0.2 + steps * (level + 1)
            for row, column in product(range(side), repeat=2):
                place = ((column + 0.5) / side, (row + 0.5) / side)
                for ratio in (1, 2, 1 / 2, 3, 1 / 3)[: self.anchors[level] - 1]:
                    yield *place, scale * ratio**0.5, scale / ratio**0.5
                yield *place, (scale * after) ** 0.5, (scale * after) ** 0.5

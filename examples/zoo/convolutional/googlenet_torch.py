"""GoogLeNet of `googlenet.py` in PyTorch, named as in torchvision."""

import torch
from torch import nn
from torch.nn import functional

from examples.zoo.convolutional.googlenet import WIDTHS


class Unit(nn.Module):
    def __init__(self, before, after, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        self.batch_norm = nn.BatchNorm2d(after, eps=1e-3)

    def forward(self, x):
        return functional.relu(self.batch_norm(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, before, widths):
        super().__init__()
        a, b, c, d, e, f = widths
        self.branch1 = Unit(before, a, 1)
        self.branch2 = nn.Sequential(Unit(before, b, 1), Unit(b, c, 3))
        self.branch3 = nn.Sequential(Unit(before, d, 1), Unit(d, e, 3))
        self.branch4 = Unit(before, f, 1)

    def forward(self, x):
        pooled = functional.max_pool2d(x, 3, 1, 1)
        parts = [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(pooled)]
        return torch.cat(parts, 1)


class GoogLeNet(nn.Module):
    def __init__(self, inceptions=WIDTHS, shrink=1, classes=1000):
        super().__init__()
        self.names = tuple(inceptions)
        narrow, before = 64 // shrink, 192 // shrink
        self.conv1 = Unit(3, narrow, 7, 2)
        self.conv2, self.conv3 = Unit(narrow, narrow, 1), Unit(narrow, before, 3)
        for name, widths in inceptions.items():
            own = [n // shrink for n in widths]
            setattr(self, f"inception{name}", Inception(before, own))
            before = own[0] + own[2] + own[4] + own[5]
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = functional.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        for name in self.names:
            if name in ("4a", "5a"):
                x = functional.max_pool2d(x, 3 if name == "4a" else 2, 2, ceil_mode=True)
            x = getattr(self, f"inception{name}")(x)
        return self.fc(self.dropout(x.mean((2, 3))))

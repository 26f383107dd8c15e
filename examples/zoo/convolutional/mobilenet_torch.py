"""MobileNetV2 of `mobilenet.py` in PyTorch; parameters are matched by their order."""

from torch import nn
from torch.nn import functional

from examples.zoo.convolutional.mobilenet import STAGES


def unit(before, after, kernel, stride=1, groups=1):
    return [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
    ]


class Inverted(nn.Module):
    def __init__(self, before, wider, channels, stride):
        super().__init__()
        inner = wider * before
        self.is_residual = stride == 1 and before == channels
        self.layers = nn.Sequential(
            *([*unit(before, inner, 1), nn.ReLU6()] if wider > 1 else []),
            *(*unit(inner, inner, 3, stride, groups=inner), nn.ReLU6()),
            *unit(inner, channels, 1),
        )

    def forward(self, x):
        return x + self.layers(x) if self.is_residual else self.layers(x)


class MobileNet(nn.Module):
    def __init__(self, stages=STAGES, first=32, last=1280, classes=1000):
        super().__init__()
        layers, before = [*unit(3, first, 3, 2), nn.ReLU6()], first
        for wider, channels, depth, stride in stages:
            for i in range(depth):
                layers.append(Inverted(before, wider, channels, stride if i == 0 else 1))
                before = channels
        self.features = nn.Sequential(*layers, *unit(before, last, 1), nn.ReLU6())
        self.classifier = nn.Linear(last, classes)

    def forward(self, x):
        x = functional.dropout(self.features(x).mean((2, 3)), 0.2, self.training)
        return self.classifier(x)

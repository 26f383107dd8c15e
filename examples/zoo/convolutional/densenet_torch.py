"""DenseNet of `densenet.py` in PyTorch, named as in torchvision."""

import torch
from torch import nn
from torch.nn import functional


class Layer(nn.Module):
    def __init__(self, before, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    def __init__(self, before):
        super().__init__()
        self.norm = nn.BatchNorm2d(before)
        self.conv = nn.Conv2d(before, before // 2, 1, bias=False)

    def forward(self, x):
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    def __init__(self, depths=(6, 12, 24, 16), growth=32, classes=1000):
        super().__init__()
        channels = 2 * growth
        parts = {
            "conv0": nn.Conv2d(3, channels, 7, 2, 3, bias=False),
            "norm0": nn.BatchNorm2d(channels),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, 2, 1),
        }
        for stage, depth in enumerate(depths, start=1):
            layers = {}
            for i in range(1, depth + 1):
                layers[f"denselayer{i}"] = Layer(channels, growth)
                channels += growth
            parts[f"denseblock{stage}"] = sequence(layers)
            if stage < len(depths):
                parts[f"transition{stage}"] = Transition(channels)
                channels //= 2
        parts["norm5"] = nn.BatchNorm2d(channels)
        self.features = sequence(parts)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        return self.classifier(functional.relu(self.features(x)).mean((2, 3)))


def sequence(parts):
    made = nn.Sequential()
    for name, part in parts.items():
        made.add_module(name, part)
    return made

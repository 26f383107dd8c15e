"""VGG of `vgg.py` in PyTorch."""

from torch import nn


class Vgg(nn.Module):
    def __init__(self, depths=(2, 2, 3, 3, 3), width=64, hidden=4096, classes=1000):
        super().__init__()
        layers, before = [], 3
        for stage, depth in enumerate(depths):
            after = width * min(2**stage, 8)
            for _ in range(depth):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
                before = after
            layers += [nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            *(nn.Linear(49 * before, hidden), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))

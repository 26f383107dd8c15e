"""AlexNet of `alexnet.py` in PyTorch, layers numbered as in torchvision."""

from torch import nn


class AlexNet(nn.Module):
    def __init__(self, width=64, hidden=4096, classes=1000):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, width, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(width, 3 * width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(3 * width, 6 * width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(6 * width, 4 * width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(4 * width, 4 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        self.pool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(36 * 4 * width, hidden), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU()),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))

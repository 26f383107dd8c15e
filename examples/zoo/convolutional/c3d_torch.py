"""C3D of `c3d.py` in PyTorch."""

from torch import nn


class C3d(nn.Module):
    def __init__(self, depths=(1, 1, 2, 2, 2), width=64, hidden=4096, classes=487):
        super().__init__()
        layers, before = [], 3
        for stage, depth in enumerate(depths):
            after = width * min(2**stage, 8)
            for _ in range(depth):
                layers += [nn.Conv3d(before, after, 3, padding=1), nn.ReLU()]
                before = after
            window = (1, 2, 2) if stage == 0 else 2
            is_last = stage == len(depths) - 1
            layers += [nn.MaxPool3d(window, padding=(0, 1, 1) if is_last else 0)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool3d((1, 4, 4)), nn.Flatten())
        self.classifier = nn.Sequential(
            *(nn.Linear(16 * before, hidden), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x))

"""MobileNetV3, which transformers lacks."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SqueezeExcite(nn.Module):
    """Channels weighted by what their means say."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * functional.hardsigmoid(self.fc2(functional.relu(self.fc1(self.pool(x)))))


class InvertedResidual(nn.Module):
    """1x1 up, depthwise, squeeze-excite, 1x1 down (Howard et al., 2019, arXiv 1905.02244)."""

    def __init__(
        self, channels: int, wide: int, out: int, stride: int, excite: bool, swish: bool
    ) -> None:
        super().__init__()
        act = nn.Hardswish if swish else nn.ReLU
        layers = [nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), act()]
        layers += [
            nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            act(),
        ]
        if excite:
            layers.append(SqueezeExcite(wide, max(4, wide // 4)))
        layers += [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.block = nn.Sequential(*layers)
        self.is_residual = stride == 1 and channels == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.block(x)
        return x + y if self.is_residual else y


class MobileNetV3(nn.Module):
    """A small MobileNetV3."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()
        )
        self.blocks = nn.Sequential(
            InvertedResidual(16, 32, 16, 1, excite=True, swish=False),
            InvertedResidual(16, 48, 24, 2, excite=False, swish=False),
            InvertedResidual(24, 96, 24, 1, excite=True, swish=True),
        )
        self.head = nn.Sequential(
            nn.Conv2d(24, 64, 1, bias=False), nn.BatchNorm2d(64), nn.Hardswish()
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(64, 96), nn.Hardswish(), nn.Linear(96, classes))

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.head(self.blocks(self.stem(pixel_values))))
        return self.classifier(torch.flatten(x, 1))

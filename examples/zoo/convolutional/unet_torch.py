"""U-Net of `unet.py` in PyTorch."""

import torch
from torch import nn
from torch.nn import functional


class Double(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.batch_norm = nn.BatchNorm2d(after)
        self.conv_1 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.batch_norm_1 = nn.BatchNorm2d(after)

    def forward(self, x):
        x = functional.relu(self.batch_norm(self.conv(x)))
        return functional.relu(self.batch_norm_1(self.conv_1(x)))


class UNet(nn.Module):
    def __init__(self, width=64, depth=4, classes=2):
        super().__init__()
        self.depth, before = depth, 3
        for level in range(depth):
            after = width * 2**level
            setattr(self, f"down{level}", Double(before, after))
            setattr(self, f"up{level}", nn.ConvTranspose2d(2 * after, after, 2, 2))
            setattr(self, f"join{level}", Double(2 * after, after))
            before = after
        self.bottom = Double(before, 2 * before)
        self.scores = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for level in range(self.depth):
            x = getattr(self, f"down{level}")(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for level in reversed(range(self.depth)):
            x = torch.cat([skips[level], getattr(self, f"up{level}")(x)], 1)
            x = getattr(self, f"join{level}")(x)
        return self.scores(x)

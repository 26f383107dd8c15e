"""ViT of `vit.py` in PyTorch."""

import torch
from torch import nn

from examples.zoo.attention.layers_torch import PreNorm


class Encoder(nn.Module):
    def __init__(self, image, *, patch, size, heads, layers):
        super().__init__()
        patches = (image[2] // patch) * (image[3] // patch)
        self.patches = nn.Conv2d(3, size, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, size))
        self.places = nn.Parameter(torch.randn(1, 1 + patches, size))
        self.layers = nn.ModuleList(PreNorm(size, heads, 1e-6) for _ in range(layers))
        self.ln = nn.LayerNorm(size, 1e-6)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), 1, -1), x], 1) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.ln(x)


class Vit(Encoder):
    def __init__(self, image, *, patch=16, size=768, heads=12, layers=12, classes=1000):
        super().__init__(image, patch=patch, size=size, heads=heads, layers=layers)
        self.head = nn.Linear(size, classes)

    def forward(self, image):
        return self.head(super().forward(image)[:, 0])

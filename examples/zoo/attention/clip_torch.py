"""CLIP of `clip.py` in PyTorch."""

import torch
from torch import nn
from torch.nn import functional

from examples.zoo.attention.layers_torch import PreNorm, causal
from examples.zoo.attention.vit_torch import Encoder


class Visual(Encoder):
    def __init__(self, image, *, shared, size, **more):
        super().__init__(image, size=size, **more)
        self.projection = nn.Linear(size, shared, bias=False)

    def forward(self, image):
        return functional.normalize(self.projection(super().forward(image)[:, 0]), dim=-1)


class Textual(nn.Module):
    def __init__(self, length, *, vocabulary, size, heads, layers, shared):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, size)
        self.places = nn.Parameter(torch.randn(1, length, size))
        self.layers = nn.ModuleList(PreNorm(size, heads) for _ in range(layers))
        self.ln = nn.LayerNorm(size)
        self.projection = nn.Linear(size, shared, bias=False)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places
        for layer in self.layers:
            x = layer(x, causal(tokens.shape[1]))
        last = self.ln(x)[torch.arange(len(x)), tokens.argmax(-1)]
        return functional.normalize(self.projection(last), dim=-1)


class Clip(nn.Module):
    def __init__(self, image, tokens, *, patch=32, vocabulary=49408, **changes):
        super().__init__()
        both = {"size": 512, "heads": 8, "layers": 12, "shared": 512, **changes}
        self.visual = Visual(image, patch=patch, **both)
        self.textual = Textual(tokens[1], vocabulary=vocabulary, **both)
        self.scale = nn.Parameter(torch.tensor(2.6593))

    def forward(self, image, tokens):
        seen, said = self.visual(image), self.textual(tokens)
        return self.scale.exp() * seen @ said.T, seen, said

"""BERT of `bert.py` in PyTorch."""

import torch
from torch import nn

from examples.zoo.attention.layers_torch import Mlp, MultiHead


class Layer(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.attention, self.mlp = MultiHead(size, heads), Mlp(size)
        self.ln_1, self.ln_2 = nn.LayerNorm(size, 1e-12), nn.LayerNorm(size, 1e-12)

    def forward(self, x, keep):
        x = self.ln_1(x + self.attention(x, mask=keep))
        return self.ln_2(x + self.mlp(x))


class Bert(nn.Module):
    def __init__(self, vocabulary=30522, size=768, heads=12, layers=12):
        super().__init__()
        self.token_table = nn.Embedding(vocabulary, size)
        self.segment_table = nn.Embedding(2, size)
        self.places = nn.Embedding(512, size)
        self.ln = nn.LayerNorm(size, 1e-12)
        self.layers = nn.ModuleList(Layer(size, heads) for _ in range(layers))
        self.pooler = nn.Linear(size, size)

    def forward(self, tokens, segments, keep):
        x = self.token_table(tokens) + self.segment_table(segments)
        x = self.ln(x + self.places(torch.arange(tokens.shape[1])))
        for layer in self.layers:
            x = layer(x, keep[:, None, None])
        return x, torch.tanh(self.pooler(x[:, 0]))

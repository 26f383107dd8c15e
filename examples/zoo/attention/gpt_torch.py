"""GPT of `gpt.py` in PyTorch. It sees the cache as keys and values of tokens before."""

import torch
from torch import nn
from torch.nn import functional

from examples.zoo.attention.layers_torch import Mlp, MultiHead


class Cached(MultiHead):
    def forward(self, x, past):
        length = x.shape[1]
        query = self.split(self.query(x))
        key = torch.cat([past[0], self.split(self.key(x))], 2)
        value = torch.cat([past[1], self.split(self.value(x))], 2)
        before = key.shape[2] - length
        seen = torch.ones(length, key.shape[2], dtype=torch.bool).tril(before)
        scores = (query @ key.transpose(2, 3)) / query.shape[-1] ** 0.5
        mixed = torch.softmax(scores.masked_fill(~seen, float("-inf")), -1) @ value
        return self.output(mixed.transpose(1, 2).flatten(2)), torch.stack([key, value])


class Block(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention, self.mlp = Cached(size, heads), Mlp(size, "tanh")

    def forward(self, x, past):
        mixed, cache = self.attention(self.ln_1(x), past)
        x = x + mixed
        return x + self.mlp(self.ln_2(x)), cache


class Gpt(nn.Module):
    def __init__(self, past, vocabulary=50257, context=1024):
        super().__init__()
        layers, _, _, heads, _, size = past
        size *= heads
        self.tokens, self.places = nn.Embedding(vocabulary, size), nn.Embedding(context, size)
        self.layers = nn.ModuleList(Block(size, heads) for _ in range(layers))
        self.ln = nn.LayerNorm(size)

    def forward(self, tokens, past):
        places = torch.arange(tokens.shape[1]) + past.shape[4]
        x, caches = self.tokens(tokens) + self.places(places), []
        for layer, cached in zip(self.layers, past, strict=True):
            x, cache = layer(x, cached)
            caches.append(cache)
        return functional.linear(self.ln(x), self.tokens.weight), torch.stack(caches)

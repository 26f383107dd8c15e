"""What the Transformers of this folder share in PyTorch, written out."""

import torch
from torch import nn
from torch.nn import functional


class MultiHead(nn.Module):
    """Multi-head attention with a linear layer for each of query, key and value."""

    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(size, size), nn.Linear(size, size)
        self.value, self.output = nn.Linear(size, size), nn.Linear(size, size)

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x, context=None, mask=None):
        """mask: True where a key is seen."""
        context = x if context is None else context
        query, key = self.split(self.query(x)), self.split(self.key(context))
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        mixed = torch.softmax(scores, -1) @ self.split(self.value(context))
        return self.output(mixed.transpose(1, 2).flatten(2))


def causal(length):
    """True where a position may look: not ahead."""
    return torch.ones(length, length, dtype=torch.bool).tril()


class Mlp(nn.Module):
    def __init__(self, size, approximate="none"):
        super().__init__()
        self.expand, self.project = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.approximate = approximate

    def forward(self, x):
        return self.project(functional.gelu(self.expand(x), approximate=self.approximate))


class PreNorm(nn.Module):
    """A Transformer block that normalises before each half."""

    def __init__(self, size, heads, eps=1e-5, approximate="none"):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(size, eps), nn.LayerNorm(size, eps)
        self.attention, self.mlp = MultiHead(size, heads), Mlp(size, approximate)

    def forward(self, x, mask=None):
        x = x + self.attention(self.ln_1(x), mask=mask)
        return x + self.mlp(self.ln_2(x))

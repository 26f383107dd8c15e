"""The scores of `scores.py` in PyTorch."""

import torch
from torch import nn
from torch.nn import functional


class DotProduct(nn.Module):
    def forward(self, query, key, value):
        return torch.softmax(query @ key.transpose(1, 2), -1) @ value


class ScaledDotProduct(nn.Module):
    def forward(self, query, key, value):
        return functional.scaled_dot_product_attention(query, key, value)


class LinearScores(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16, bias=False)

    def forward(self, query, key, value):
        return torch.softmax(query @ self.linear(key).transpose(1, 2), -1) @ value


class Additive(nn.Module):
    def __init__(self, hidden=20):
        super().__init__()
        self.query = nn.Linear(16, hidden, bias=False)
        self.key = nn.Linear(16, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, query, key, value):
        together = torch.tanh(self.query(query).unsqueeze(2) + self.key(key).unsqueeze(1))
        return torch.softmax(self.score(together).squeeze(-1), -1) @ value

"""The mixture of experts of `experts.py` in PyTorch, each expert run on its tokens only."""

import torch
from torch import nn
from torch.nn import functional


class Expert(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.gate = nn.Linear(size, hidden, bias=False)
        self.up = nn.Linear(size, hidden, bias=False)
        self.down = nn.Linear(hidden, size, bias=False)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class MixtureOfExperts(nn.Module):
    def __init__(self, experts=8, chosen=2, hidden=64):
        super().__init__()
        self.chosen = chosen
        self.router = nn.Linear(32, experts, bias=False)
        self.experts = nn.ModuleList(Expert(32, hidden) for _ in range(experts))

    def forward(self, x):
        tokens = x.flatten(0, 1)
        scores, which = self.router(tokens).topk(self.chosen)
        weights = torch.softmax(scores, -1)
        result = torch.zeros_like(tokens)
        for i, expert in enumerate(self.experts):
            rows, places = (which == i).nonzero(as_tuple=True)
            result[rows] += weights[rows, places, None] * expert(tokens[rows])
        return result.view(x.shape)

"""The multi-layer perceptron of `mlp.py` in PyTorch."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = {
    "sign": torch.sign,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "gelu": functional.gelu,
    "softmax": partial(torch.softmax, dim=-1),
}


class Mlp(nn.Module):
    def __init__(self, hidden=(32, 16), activation="relu"):
        super().__init__()
        first, second = hidden
        self.linear = nn.Linear(12, first)
        self.linear_1 = nn.Linear(first, second)
        self.linear_2 = nn.Linear(second, 4)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x):
        x = self.activation(self.linear(x))
        return self.linear_2(self.activation(self.linear_1(x)))

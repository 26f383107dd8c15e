"""The layers of `mlp.py` in PyTorch."""

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


class SingleLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 4)

    def forward(self, x):
        return torch.sigmoid(self.linear(x))


class ExclusiveOr(nn.Module):
    """Hidden: x + y and x + y - 1; more than one of them is taken back twice."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(2, 2), nn.Linear(2, 1)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.ones(2, 2))
            self.hidden.bias.copy_(torch.tensor([0.0, -1.0]))
            self.output.weight.copy_(torch.tensor([[10.0, -20.0]]))
            self.output.bias.copy_(torch.tensor([-5.0]))

    def forward(self, x):
        return torch.sigmoid(self.output(torch.relu(self.hidden(x))))


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

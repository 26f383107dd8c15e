"""The perceptron of `windowed.py` in PyTorch."""

from torch import nn


class Windowed(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.linear = nn.Linear(60, hidden)
        self.linear_1 = nn.Linear(hidden, 10)

    def forward(self, x):
        windows = x.unfold(1, 3, 1).transpose(2, 3).flatten(2)
        return self.linear_1(self.linear(windows).tanh())

"""The neurons of `threshold.py` in PyTorch."""

import torch
from torch import nn


class McCullochPitts(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8))
        self.threshold = nn.Parameter(torch.randn(()))

    def forward(self, x):
        return torch.sign(x @ self.weight - self.threshold)


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 3)


class SignPerceptron(Perceptron):
    def forward(self, x):
        return torch.sign(self.linear(x))


class StepPerceptron(Perceptron):
    def forward(self, x):
        return torch.heaviside(self.linear(x), torch.ones(()))

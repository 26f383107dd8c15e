"""The products of `products.py` in PyTorch."""

import torch
from torch import nn


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 4)

    def forward(self, x):
        return self.linear(x)


class Gemm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6))
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight.t(), alpha=0.5, beta=2)


class Matmul(nn.Module):
    def forward(self, x, y):
        row, column = x[0, 0, 0], y[0, :, 0]
        return torch.matmul(x, y), torch.matmul(row, column), torch.matmul(x, column)


class Mm(nn.Module):
    def forward(self, x, y):
        return torch.mm(x, y)


class Bmm(nn.Module):
    def forward(self, x, y):
        return torch.bmm(x, y)

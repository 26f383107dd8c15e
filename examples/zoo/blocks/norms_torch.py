"""The norms and the dropout of `norms.py` in PyTorch."""

import torch
from torch import nn
from torch.nn import functional


class Norm(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return self.norm(x)


def BatchNorm():
    return Norm(nn.BatchNorm2d(6))


def LayerNorm():
    return Norm(nn.LayerNorm(12))


def LayerNormOfImages():
    return Norm(nn.LayerNorm((6, 5, 4)))


def InstanceNorm():
    return Norm(nn.InstanceNorm2d(6, affine=True))


def GroupNorm():
    return Norm(nn.GroupNorm(3, 6))


class Dropout(nn.Module):
    def __init__(self, rate=0.3):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        y = functional.dropout(x, self.rate, self.training)
        return torch.where(y == 0, x / (1 - self.rate), y) if self.training else y

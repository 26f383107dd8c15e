"""The pooling of `pooling.py` in PyTorch."""

from torch import nn
from torch.nn import functional


class MaxPool(nn.Module):
    def forward(self, x):
        return functional.max_pool2d(x, 3, 2, 1)


class AvgPool(nn.Module):
    def forward(self, x):
        without = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return functional.avg_pool2d(x, 3, 2, 1), without


class AdaptiveAvgPool(nn.Module):
    def forward(self, x):
        return functional.adaptive_avg_pool2d(x, (3, 2)), functional.adaptive_avg_pool2d(x, 1)


class AdaptiveMaxPool(nn.Module):
    def forward(self, x):
        return functional.adaptive_max_pool2d(x, (3, 2)), functional.adaptive_max_pool2d(x, 1)

"""The changes of shape of `shapes.py` in PyTorch."""

from torch import nn


class Reshape(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 4), x.view(x.shape[0], -1)


class View(nn.Module):
    def forward(self, x):
        turned = x.transpose(1, 2)
        assert not turned.is_contiguous() or 1 in turned.shape
        return turned.contiguous().view(x.shape[0], 3, 4 * x.shape[1])


class Transpose(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2), x[0].t()


class Permute(nn.Module):
    def forward(self, x):
        return x.view(x.shape[0], x.shape[1], 3, 4).permute(2, 0, 3, 1)


class Contiguous(nn.Module):
    def forward(self, x):
        return x.permute(2, 1, 0)[::2].contiguous().view(-1)

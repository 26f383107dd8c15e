"""The multi-head attentions of `multi_head.py` in PyTorch."""

from torch import nn

from examples.zoo.attention.layers_torch import MultiHead


class SelfAttention(nn.Module):
    def __init__(self, heads=4):
        super().__init__()
        self.attention = MultiHead(24, heads)

    def forward(self, x, keep):
        return self.attention(x, mask=keep[:, None, None])


class CrossAttention(nn.Module):
    def __init__(self, heads=4):
        super().__init__()
        self.attention = MultiHead(24, heads)

    def forward(self, x, context):
        return self.attention(x, context)

"""The style transfer of `style.py` in PyTorch; parameters are matched by their order."""

from torch import nn
from torch.nn import functional


def unit(before, after, kernel, stride=1):
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(before, after, kernel, stride),
        nn.InstanceNorm2d(after, affine=True),
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = unit(channels, channels, 3), unit(channels, channels, 3)

    def forward(self, x):
        return x + self.second(functional.relu(self.first(x)))


class StyleTransfer(nn.Sequential):
    def __init__(self, width=32, depth=5):
        super().__init__(
            *(unit(3, width, 9), nn.ReLU()),
            *(unit(width, 2 * width, 3, 2), nn.ReLU(), unit(2 * width, 4 * width, 3, 2), nn.ReLU()),
            *(Residual(4 * width) for _ in range(depth)),
            *(nn.Upsample(scale_factor=2), unit(4 * width, 2 * width, 3), nn.ReLU()),
            *(nn.Upsample(scale_factor=2), unit(2 * width, width, 3), nn.ReLU()),
            *(nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9)),
        )

"""The images of `images.py` in PyTorch."""

import math

import torch
from torch import nn
from torch.nn import functional

from examples.zoo.pipeline.images import DEVIATION, LUMA, MEAN


def unit(images):
    return images.movedim(-1, 1) / torch.tensor(255.0, dtype=torch.get_default_dtype())


def normalise(x):
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


class Preprocess(nn.Module):
    def __init__(self, resized=256, size=224):
        super().__init__()
        self.resized, self.start, self.size = resized, (resized - size) // 2, size

    def forward(self, images):
        sides = (self.resized, self.resized)
        x = functional.interpolate(unit(images), sides, mode="bilinear", antialias=True)
        x = x.narrow(2, self.start, self.size).narrow(3, self.start, self.size)
        return normalise(x)


def source(place, is_flipped):
    """From a pixel of the result to where it comes from: [2, 3], in halves of the image."""
    angle, zoom = map(float, place[:2])
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = torch.diag(torch.tensor([-1.0 if is_flipped else 1.0, 1.0]))
    return torch.cat([turn @ mirror / zoom, place[2:, None]], 1)


class Augment(nn.Module):
    def __init__(self, size=224):
        super().__init__()
        self.size = size

    def forward(self, images, place, is_flipped, colours):
        where = torch.stack([source(*each) for each in zip(place, is_flipped, strict=True)])
        shape = (len(images), 3, self.size, self.size)
        grid = functional.affine_grid(where, shape, align_corners=False)
        x = functional.grid_sample(
            unit(images), grid, padding_mode="reflection", align_corners=False
        )
        return normalise(torch.stack([jitter(*each) for each in zip(x, colours, strict=True)]))


def grey(image):
    return sum(share * channel for share, channel in zip(LUMA, image, strict=True))


def jitter(image, shares):
    """The colours of one image, each change after the other."""
    brightness, contrast, saturation = shares
    image = (image * brightness).clamp(0, 1)
    image = torch.lerp(grey(image).mean(), image, contrast).clamp(0, 1)
    return torch.lerp(grey(image).expand_as(image), image, saturation).clamp(0, 1)

"""The generator and the discriminator of `dcgan.py` in PyTorch."""

from torch import nn


def generator(width=64):
    layers, before = [nn.Unflatten(1, (100, 1, 1))], 100
    for channels, stride, padding in ((8, 1, 0), (4, 2, 1), (2, 2, 1), (1, 2, 1)):
        layers += [
            nn.ConvTranspose2d(before, channels * width, 4, stride, padding, bias=False),
            nn.BatchNorm2d(channels * width),
            nn.ReLU(),
        ]
        before = channels * width
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(width=64):
    layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for channels in (2, 4, 8):
        layers += [
            nn.Conv2d(channels * width // 2, channels * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(channels * width),
            nn.LeakyReLU(0.2),
        ]
    last = nn.Conv2d(8 * width, 1, 4, bias=False)
    return nn.Sequential(*layers, last, nn.Sigmoid(), nn.Flatten())

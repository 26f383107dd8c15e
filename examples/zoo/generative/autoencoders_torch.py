"""The autoencoders of `autoencoders.py` in PyTorch."""

from itertools import pairwise

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence


def perceptron(*sizes):
    """Linear layers, each with a ReLU."""
    return nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)))


class Decoder(nn.Module):
    def __init__(self, hidden, code):
        super().__init__()
        self.hidden = perceptron(code, *reversed(hidden))
        self.last = nn.Linear(hidden[0], 784)

    def forward(self, z):
        return self.last(self.hidden(z)).sigmoid()


class Autoencoder(nn.Module):
    def __init__(self, hidden=(512, 256), code=32):
        super().__init__()
        self.encoder = perceptron(784, *hidden)
        self.code = nn.Linear(hidden[-1], code)
        self.decoder = Decoder(hidden, code)

    def forward(self, x):
        code = self.code(self.encoder(x))
        return code, self.decoder(code)


class SparseAutoencoder(nn.Module):
    def __init__(self, code=1024, rate=0.05):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(784, code), nn.Linear(code, 784)
        self.rate = rate

    def forward(self, x):
        code = self.encoder(x).sigmoid()
        image = self.decoder(code)
        wanted = torch.distributions.Bernoulli(torch.tensor(self.rate))
        sparsity = kl_divergence(wanted, torch.distributions.Bernoulli(code.mean(0))).sum()
        return image, nn.functional.mse_loss(image, x), sparsity


class Vae(nn.Module):
    def __init__(self, hidden=(512, 256), code=32):
        super().__init__()
        self.encoder = perceptron(784, *hidden)
        self.mean = nn.Linear(hidden[-1], code)
        self.log_variance = nn.Linear(hidden[-1], code)
        self.decoder = Decoder(hidden, code)

    def forward(self, x, noise=None):
        wide = self.encoder(x)
        mean, log_variance = self.mean(wide), self.log_variance(wide)
        found = Normal(mean, (log_variance / 2).exp())
        code = mean if noise is None else mean + found.scale * noise
        zero = torch.zeros((), dtype=mean.dtype)
        distance = kl_divergence(found, Normal(zero, zero + 1)).sum(-1)
        return self.decoder(code), mean, log_variance, distance

"""Blocks as people write them by hand: every site of them is fused, and PyTorch's numbers stay."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sardonyx import compiler, frontends, runtime


class Norm(nn.Module):
    """A layer norm by a formula of x, its mean, a weight and a bias."""

    def __init__(self, formula: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.formula = formula
        self.weight = nn.Parameter(torch.rand(32) + 0.5)
        self.bias = nn.Parameter(torch.randn(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Blocks share nothing but their input, as layers of a model do.
        x = x * self.bias
        return self.formula(x, x.mean(-1, keepdim=True), self.weight, self.bias)


def by_var(x, mean, weight, bias):
    variance = torch.var(x, dim=-1, unbiased=False, keepdim=True)
    return (x - mean) * (variance + 1e-5).rsqrt() * weight + bias


def by_var_mean(x, _, weight, bias):
    variance, mean = torch.var_mean(x, dim=-1, unbiased=False, keepdim=True)
    return torch.addcmul(bias, (x - mean) * torch.rsqrt(variance + 1e-5), weight)


def unbiased(x, mean, weight, bias):
    return weight * (x - mean) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5) + bias


def of_squares(x, mean, weight, bias):
    variance = (x * x).mean(-1, keepdim=True) - mean * mean
    return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias


class Attention(nn.Module):
    """Queries and keys turned by a rotary embedding, and causal attention."""

    def __init__(self, turn: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.turn = turn
        self.project = nn.Linear(32, 96, bias=False)
        frequencies = 1.0 / (10000 ** (torch.arange(0, 8, 2).float() / 8))
        angles = torch.outer(torch.arange(16).float(), frequencies)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q, k, v = self.project(x).view(batch, length, 3, 4, 8).unbind(2)
        tables = (self.cos[:length, None], self.sin[:length, None])
        q, k, v = (t.transpose(1, 2) for t in (self.turn(q, *tables), self.turn(k, *tables), v))
        mask = torch.full((length, length), float("-inf")).triu(1)
        scores = q @ k.transpose(-2, -1) / math.sqrt(8) + mask
        return (functional.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, length, 32)


def complex_numbers(x, cos, sin):
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * torch.complex(cos, sin)).flatten(3)


def stacked(x, cos, sin):
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(3)


def halves(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class OfImages(nn.Module):
    """The attentions of diffusion models, over pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Conv2d(8, 8, 1) for _ in range(3))
        self.qkv = nn.Conv1d(8, 24, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        q, k, v = (f(x).reshape(batch, channels, height * width) for f in (self.q, self.k, self.v))
        weights = torch.softmax(torch.bmm(q.permute(0, 2, 1), k) * channels**-0.5, dim=2)
        x = torch.bmm(v, weights.permute(0, 2, 1))
        q, k, v = self.qkv(x).reshape(batch * 2, 12, -1).split(4, dim=1)
        weights = torch.einsum("bct,bcs->bts", q * 4**-0.25, k * 4**-0.25).softmax(-1)
        return torch.einsum("bts,bcs->bct", weights, v).reshape(batch, channels, height, width)


class SideBySide(nn.Module):
    """Each block on the same input."""

    def __init__(self, **blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict(blocks)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: block(x) for name, block in self.blocks.items()}


def check(module: nn.Module, inputs: list[torch.Tensor], dynamic: dict[int, str]) -> dict:
    """The sites of each family that are fused, where none is missed."""
    module.eval()
    model = frontends.from_torch(module, (inputs[0],), dynamic={"x": dynamic})
    program = compiler.compile(model, explain=True, verify_level=2)
    assert [f"{site.place}: {site.reason}" for site in program.explanation.missed] == []
    session = runtime.load(program, threads=1)
    for x in inputs:
        with torch.no_grad():
            expected = module(x)
        found = session.run_named({"x": x.numpy()})
        wanted = expected if isinstance(expected, dict) else {next(iter(found)): expected}
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-4, atol=2e-5)
    return {name: program.explanation.count(name).fused for name in ("attention", "norm", "rotary")}


def test_norms_and_rotary_embeddings():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    formulas = {f.__name__: Norm(f) for f in (by_var, by_var_mean, unbiased, of_squares)}
    turns = {f.__name__: Attention(f) for f in (complex_numbers, stacked, halves)}
    net = SideBySide(**formulas, **{n: nn.Sequential(Norm(by_var), t) for n, t in turns.items()})
    inputs = [torch.randn(b, s, 32) for b, s in ((2, 7), (1, 1), (3, 12))]
    counts = check(net, inputs, {0: "batch", 1: "seq"})
    assert counts == {"attention": 3, "norm": 7, "rotary": 6}


def test_attentions_over_pixels():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs = [torch.randn(b, 8, 4, 4) for b in (2, 1, 3)]
    net = OfImages()
    del net.k, net.v  # One projection is enough: layers side by side are another matter.
    net.k = net.v = net.q
    assert check(net, inputs, {0: "batch"})["attention"] == 2

"""Twins in PyTorch: made, perturbed, and asked for what a model of the zoo must compute."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from examples.zoo.member import Feeds, Member
from sardonyx.frontends import dsl


@dataclass(frozen=True)
class Pair:
    """A model and its twin, with the same weights."""

    member: Member
    model: dsl.Model
    twin: nn.Module


def pair(member: Member, *, is_small: bool, seed: int = 0) -> Pair:
    """Return a model of a member and its twin, whose weights it has loaded.

    Weights are the twin's own random ones, with a disturbance that no norm is without.
    """
    model = member.build(is_small=is_small)
    torch.manual_seed(seed)
    module, maker = member.twin.split(":")
    package = member.module.rpartition(".")[0]
    make = getattr(importlib.import_module(f"{package}.{module}"), maker)
    twin = make(**model.options).train(member.is_training)
    disturb(twin)
    state = {
        name: value
        for name, value in twin.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    model.load(state, {name: member.names(name) for name in model.parameters()})
    return Pair(member, model, twin)


def disturb(twin: nn.Module) -> None:
    """Move scales, biases and statistics away from the ones and zeros that they start with."""
    with torch.no_grad():
        for weight in twin.parameters():
            if weight.dim() == 1 and weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
        for name, buffer in twin.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn_like(buffer))
            if name.endswith("running_var"):
                buffer.mul_(0.5 + torch.rand_like(buffer))


@contextmanager
def doubled(twin: nn.Module) -> Iterator[nn.Module]:
    """The twin in double precision, with the same numbers; single again afterwards."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield twin.double()
    finally:
        torch.set_default_dtype(before)
        twin.float()


def wanted(twin: nn.Module, feeds: Feeds) -> list[np.ndarray]:
    """What a twin computes in double precision: the truth that single precision is held against.

    A deep network in single precision is off by more than the bound in PyTorch, too.
    """
    with doubled(twin) as wide, torch.no_grad():
        tensors = [
            torch.from_numpy(x.astype(np.float64) if x.dtype == np.float32 else x)
            for x in feeds.values()
        ]
        return arrays(wide(*tensors))


def rounding(found: Pair, feeds: Feeds, dtype: torch.dtype) -> float:
    """The relative error that rounding no more than weights to a half precision makes."""
    expected = wanted(found.twin, feeds)
    coarse = copy.deepcopy(found.twin)
    with torch.no_grad():
        for weight in coarse.parameters():
            weight.copy_(weight.to(dtype))
    return relative_error(wanted(coarse, feeds), expected)


def arrays(result: Any) -> list[np.ndarray]:
    """The tensors that a twin returns, as the model lists its outputs."""
    if isinstance(result, dict):
        result = list(result.values())
    listed = result if isinstance(result, (list, tuple)) else [result]
    return [tensor.detach().numpy() for tensor in listed]


def relative_error(got: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest difference over the largest element, the worst of all outputs.

    Ints and bools must be equal. Other numbers or shapes of outputs, and what is not finite, are
    an infinite error.
    """
    if [np.shape(y) for y in got] != [np.shape(y) for y in expected]:
        return float("inf")
    worst = 0.0
    for y, z in zip(got, expected, strict=True):
        if not np.issubdtype(z.dtype, np.floating):
            worst = max(worst, 0.0 if np.array_equal(y, z) else float("inf"))
            continue
        off = np.abs(np.asarray(y, np.float64) - z).max(initial=0.0)
        scale = np.abs(z).max(initial=0.0)
        is_finite = np.isfinite(off) and np.isfinite(scale)
        worst = max(worst, float(off / max(scale, 1e-30)) if is_finite else float("inf"))
    return worst

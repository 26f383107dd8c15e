"""Twins in PyTorch: made, perturbed, and asked for what a model of the zoo must compute."""

from __future__ import annotations

import copy
import importlib
import inspect
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from examples.zoo.member import Feeds, Member
from sardonyx.frontends import dsl


@dataclass(frozen=True)
class Pair:
    """A model and its twin, with the same weights.

    Attributes:
        member: The row of the zoo.
        model: The model in the language.
        twin: The module in PyTorch.
        names: The name map of their weights: of each parameter its name in the state_dict.
    """

    member: Member
    model: dsl.Model
    twin: nn.Module
    names: dict[str, str]


def pair(member: Member, *, is_small: bool, seed: int = 0) -> Pair:
    """Return a model of a member and its twin, whose weights it has loaded.

    Weights are the twin's own random ones, with a disturbance that no norm is without.
    """
    model = member.build(is_small=is_small)
    torch.manual_seed(seed)
    module, maker = member.twin.split(":")
    package = member.module.rpartition(".")[0]
    make = getattr(importlib.import_module(f"{package}.{module}"), maker)
    given = inspect.signature(make).parameters
    dims = {name: spec.dims for name, spec in model.inputs.items() if name in given}
    twin = make(**dims, **model.options).train(member.is_training)
    disturb(twin)
    state = {
        name: value
        for name, value in twin.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    own = list(model.parameters())
    there = map(member.names, own) if member.names else state
    names = dict(zip(own, there, strict=True))
    model.load(state, names)
    return Pair(member, model, twin, names)


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


def wanted(found: Pair, feeds: Feeds) -> list[np.ndarray]:
    """What a model must compute: its twin in double precision, with the same numbers.

    That is the truth that single precision is held against: of a deep network, PyTorch's own is
    off by more than the bound. In training the moved statistics come after the outputs.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        # A copy, as training moves its statistics.
        wide = copy.deepcopy(found.twin).double()
        with torch.no_grad():
            results = arrays(wide(*map(_double, feeds.values())))
    finally:
        torch.set_default_dtype(before)
    if found.member.is_training:
        state = wide.state_dict()
        results += [state[found.names[name]].numpy() for name in found.model.updates()]
    return results


def _double(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.float64) if x.dtype == np.float32 else x)


def rounding(found: Pair, feeds: Feeds, dtype: torch.dtype) -> float:
    """The relative error that no more than rounding weights and inputs to half precision makes."""
    coarse = copy.deepcopy(found.twin)
    with torch.no_grad():
        for weight in coarse.parameters():
            weight.copy_(weight.to(dtype))
    rounded = {
        name: torch.from_numpy(x).to(dtype).float().numpy() if x.dtype == np.float32 else x
        for name, x in feeds.items()
    }
    return relative_error(wanted(replace(found, twin=coarse), rounded), wanted(found, feeds))


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

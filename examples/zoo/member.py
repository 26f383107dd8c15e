"""What the zoo knows of one of its members: a row of its table. Needs no PyTorch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from sardonyx.frontends import dsl

Sizes = Mapping[str, int]
Feeds = dict[str, np.ndarray]
Maker = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Makes an input of a shape."""


def below(limit: int) -> Maker:
    """Ints from 0 to limit - 1, such as tokens and classes."""
    return lambda rng, shape: rng.integers(0, limit, shape)


def some(share: float) -> Maker:
    """True for so many of all elements on average, and wherever the last index is 0."""

    def make(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        chosen = rng.random(shape) < share
        chosen[..., 0] = True
        return chosen

    return make


def always(number: float) -> Maker:
    """One number, wherever."""
    return lambda rng, shape: np.full(shape, number)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def same(name: str) -> str:
    """The name map of a twin whose parameters have the names that the language gives them."""
    return name


def prefixes(**there: str) -> Callable[[str], str]:
    """A name map by the layer: `prefixes(conv_1="features.3")` takes `conv_1.bias` there."""

    def name_there(name: str) -> str:
        layer, _, last = name.rpartition(".")
        return f"{there.get(layer, layer)}.{last}"

    return name_there


def learned(model: dsl.Model) -> int:
    """How many numbers training learns: running statistics are none."""
    return sum(math.prod(p.shape) for p in model.parameters().values() if p.trainable)


@dataclass(frozen=True)
class Member:
    """One row of the zoo.

    Attributes:
        name: What the table calls it.
        model: The model at its full size.
        twin: Module beside the model's, and what makes the twin there, "resnet_torch:ResNet": of
            the model's options, and of the dims of those inputs that it has an argument for.
        at: Two assignments of the symbolic sizes, at which both must agree.
        full_at: The one at which the full model is measured; the first of `at` by default.
        options: Options of the model and its twin, wherever they are not those of the `def`.
        small: Types of inputs and options that make a small model of it for the tests.
        inputs: How an input is made that is not normally distributed noise.
        names: From a parameter's name to its name in the twin's state_dict; None where both have
            their parameters in the same order.
        is_training: Whether model and twin behave as in training.
        is_decision: Whether it returns what it chose, such as boxes: with rounded numbers it may
            well choose others, so programs in half precision are made, and not compared.
    """

    name: str
    model: dsl.Model
    twin: str
    at: tuple[Sizes, Sizes]
    full_at: Sizes | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Maker] = field(default_factory=dict)
    names: Callable[[str], str] | None = same
    is_training: bool = False
    is_decision: bool = False

    @property
    def module(self) -> str:
        """Name of the module that the model is written in."""
        return str(self.model._function.__module__)

    @property
    def file(self) -> Path:
        """The file that the model is written in."""
        return Path(str(sys.modules[self.module].__file__))

    @property
    def teaches(self) -> str:
        """The first line of the model's docstring."""
        return (self.model.__doc__ or "").strip().split("\n")[0]

    def build(self, *, is_small: bool) -> dsl.Model:
        """A model of its own, full or small."""
        changes = {**self.options, **(self.small if is_small else {})}
        return self.model.build(**changes, **({"training": True} if self.is_training else {}))

    def feeds(self, model: dsl.Model, sizes: Sizes, seed: int = 0) -> Feeds:
        """Random inputs of a model of this member, at an assignment of its symbolic sizes."""
        rng = np.random.default_rng(seed)
        made = {}
        for name, spec in model.inputs.items():
            shape = tuple(
                dim if isinstance(dim, int) else int(ir.SymbolicDim(dim).evaluate(sizes))
                for dim in spec.dims
            )
            maker = self.inputs.get(name, _normal)
            made[name] = np.asarray(maker(rng, shape)).astype(spec.dtype.numpy)
        return made

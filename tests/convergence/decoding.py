"""Decoders with a key-value cache, for one token a step and for several."""

from __future__ import annotations

from collections.abc import Callable

import torch
import transformers
from torch import nn
from transformers import DynamicCache

from tests.convergence.models import Attention, Select, Subject
from tests.frontends.huggingface.inputs import Inputs, padding, tokens
from tests.frontends.huggingface.models import GPT2, LLAMA

LAYERS, WIDTH = 2, 8
HEADS = {"gpt2": 4, "llama": 2}
CACHES = tuple(f"past.{layer}.{kind}" for layer in range(LAYERS) for kind in ("key", "value"))


class Step(Select):
    """A decoder from tokens and a cache to logits and the cache for the step after it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, ("input_ids", "attention_mask", *CACHES), "logits")

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ids, mask, *flat = tensors
        cache = DynamicCache(list(zip(flat[::2], flat[1::2], strict=True)))
        answer = self.network(input_ids=ids, attention_mask=mask, past_key_values=cache)
        states = [v for layer in answer.past_key_values.layers for v in (layer.keys, layer.values)]
        return answer.logits, *states


def _example(heads: int, new: int) -> Callable[..., Inputs]:
    def example(batch: int, past: int, new: int = new) -> Inputs:
        generator = torch.Generator().manual_seed(batch + past)
        shape = (batch, heads, past, WIDTH)
        return {
            "input_ids": tokens(batch, new),
            "attention_mask": padding(batch, past + new).flip(1),
            **{name: torch.randn(shape, generator=generator) for name in CACHES},
        }

    return example


def _build(kind: str, config: dict[str, object]) -> Callable[[Attention], nn.Module]:
    def build(attention: Attention) -> nn.Module:
        cls = getattr(transformers, kind)
        made = cls.config_class(**config)
        made._attn_implementation = attention
        return Step(cls(made))

    return build


def _dynamic(new: dict[int, str]) -> dict[str, dict[int, str]]:
    return {
        "input_ids": {0: "batch", **new},
        "attention_mask": {0: "batch", 1: "total"},
        **{name: {0: "batch", 2: "past"} for name in CACHES},
    }


def _subjects(name: str, kind: str, config: dict[str, object]) -> tuple[Subject, Subject]:
    build, heads = _build(kind, config), HEADS[name]
    token = Subject(
        f"{name}_token",
        build,
        _example(heads, 1),
        _dynamic({}),
        {"batch": 2, "past": 6},
        {"batch": 3, "past": 9},
    )
    several = Subject(
        f"{name}_tokens",
        build,
        _example(heads, 3),
        _dynamic({1: "new"}),
        {"batch": 2, "past": 6},
        {"batch": 3, "past": 9, "new": 1},
    )
    return token, several


SUBJECTS = (
    *_subjects("gpt2", "GPT2LMHeadModel", GPT2),
    *_subjects("llama", "LlamaForCausalLM", LLAMA),
)

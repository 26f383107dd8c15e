"""The models that every exporter's spelling of is compared: tiny, seeded, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from tests.convergence.networks import MobileNetV3
from tests.frontends.huggingface import inputs
from tests.frontends.huggingface.models import (
    BERT,
    GPT2,
    LLAMA,
    REQUIRED,
    SWIN,
    T5,
    VIT,
)
from tests.frontends.huggingface.row import randomise

Sizes = dict[str, int]
Attention = str
"""Which of transformers' attentions: "eager" or "sdpa"; "" for a network without."""


class Select(nn.Module):
    """A network of transformers with one tensor as its answer, called by position."""

    def __init__(self, network: nn.Module, names: tuple[str, ...], answer: str) -> None:
        super().__init__()
        self.network = network
        self._names, self._answer = names, answer

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        given = dict(zip(self._names, tensors, strict=True))
        if hasattr(self.network.config, "use_cache"):
            given["use_cache"] = False
        return getattr(self.network(**given), self._answer)


@dataclass(frozen=True)
class Subject:
    """One model.

    Attributes:
        name: Short name.
        build: Makes the module for an attention implementation.
        example: Its inputs by name, at given sizes of the dynamic dims.
        dynamic: The dims that stay symbolic in the dynamic exports.
        traced: Sizes of the dims when it is exported.
        other: Sizes that the dynamic exports must also be right for.
        attentions: The attention implementations there are.
    """

    name: str
    build: Callable[[Attention], nn.Module]
    example: Callable[..., inputs.Inputs]
    dynamic: dict[str, dict[int, str]]
    traced: Sizes
    other: Sizes
    attentions: tuple[Attention, ...] = ("eager", "sdpa")

    def module(self, attention: Attention) -> nn.Module:
        """The network in inference mode, the same weights at every call."""
        torch.manual_seed(0)
        module = self.build(attention)
        randomise(module)
        return module.eval().requires_grad_(False)


def _network(
    name: str, answer: str, example: Callable[..., inputs.Inputs], sizes: Sizes, **config: Any
) -> Callable[[Attention], nn.Module]:
    def build(attention: Attention) -> nn.Module:
        kind = getattr(transformers, name)
        made = kind.config_class(**config)
        if attention:
            made._attn_implementation = attention
        return Select(kind(made), tuple(example(**sizes)), answer)

    return build


def _subject(
    name: str,
    kind: str,
    example: Callable[..., inputs.Inputs],
    dynamic: dict[str, dict[int, str]],
    traced: Sizes,
    other: Sizes,
    *,
    answer: str = "last_hidden_state",
    attentions: tuple[Attention, ...] = ("eager", "sdpa"),
    **config: Any,
) -> Subject:
    build = _network(kind, answer, example, traced, **config)
    return Subject(name, build, example, dynamic, traced, other, attentions)


def _speech(batch: int, target: int) -> inputs.Inputs:
    # The legacy exporter knows no operator that transformers needs without a mask.
    mask = inputs.padding(batch, target)
    return {**inputs.spectrogram(batch, target), "decoder_attention_mask": mask}


SPEECH = {**inputs.SPECTROGRAM, "decoder_attention_mask": {0: "batch", 1: "target"}}
TEXT = ({"batch": 2, "seq": 7}, {"batch": 3, "seq": 12})
IMAGE = ({"batch": 2}, {"batch": 3})
OPTIONS = {row.name: row.options for row in REQUIRED}

SUBJECTS = (
    _subject("bert", "BertModel", inputs.text, inputs.TEXT, *TEXT, **BERT),
    _subject("gpt2", "GPT2LMHeadModel", inputs.text, inputs.TEXT, *TEXT, answer="logits", **GPT2),
    _subject(
        "llama",
        "LlamaForCausalLM",
        inputs.text,
        inputs.TEXT,
        *TEXT,
        answer="logits",
        **LLAMA,
    ),
    _subject("vit", "ViTModel", inputs.image, inputs.IMAGE, *IMAGE, **VIT),
    _subject("swin", "SwinModel", inputs.image, inputs.IMAGE, *IMAGE, **SWIN),
    _subject(
        "t5",
        "T5Model",
        inputs.seq2seq,
        inputs.SEQ2SEQ,
        {"batch": 2, "seq": 7, "target": 5},
        {"batch": 3, "seq": 4, "target": 9},
        **T5,
    ),
    _subject(
        "whisper",
        "WhisperModel",
        _speech,
        SPEECH,
        {"batch": 2, "target": 5},
        {"batch": 3, "target": 8},
        **OPTIONS["WhisperModel"],
    ),
    _subject(
        "convnext",
        "ConvNextModel",
        inputs.image,
        inputs.IMAGE,
        *IMAGE,
        attentions=("",),
        **OPTIONS["ConvNextModel"],
    ),
    Subject(
        "mobilenet_v3",
        lambda _: MobileNetV3(),
        inputs.image,
        inputs.IMAGE,
        *IMAGE,
        attentions=("",),
    ),
    _subject(
        "efficientnet",
        "EfficientNetModel",
        inputs.image,
        inputs.IMAGE,
        *IMAGE,
        attentions=("",),
        **OPTIONS["EfficientNetModel"],
    ),
)

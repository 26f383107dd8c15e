"""Example inputs for each kind of model, by the sizes of its dynamic dims."""

from __future__ import annotations

import torch

VOCABULARY = 99

Inputs = dict[str, torch.Tensor]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens(batch: int, seq: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (batch, seq), generator=_generator(seed))


def padding(batch: int, seq: int) -> torch.Tensor:
    """1 for the tokens to look at; rows have different lengths."""
    lengths = torch.arange(batch) % max(seq // 2, 1)
    return (torch.arange(seq) < (seq - lengths)[:, None]).long()


def text(batch: int, seq: int) -> Inputs:
    return {"input_ids": tokens(batch, seq), "attention_mask": padding(batch, seq)}


def left_padded_text(batch: int, seq: int) -> Inputs:
    return {"input_ids": tokens(batch, seq), "attention_mask": padding(batch, seq).flip(1)}


def seq2seq(batch: int, seq: int, target: int) -> Inputs:
    return {**text(batch, seq), "decoder_input_ids": tokens(batch, target, seed=1)}


def image(batch: int, size: int = 32) -> Inputs:
    return {"pixel_values": torch.randn(batch, 3, size, size, generator=_generator(2))}


def image_and_text(batch: int, texts: int, seq: int) -> Inputs:
    return {**text(texts, seq), **image(batch)}


def spectrogram(batch: int, target: int) -> Inputs:
    features = torch.randn(batch, 16, 60, generator=_generator(3))
    return {"input_features": features, "decoder_input_ids": tokens(batch, target)}


def waveform(batch: int, samples: int) -> Inputs:
    return {"input_values": torch.randn(batch, samples, generator=_generator(4))}


def noisy_image(batch: int) -> Inputs:
    """With the noise that would else be random."""
    return {**image(batch), "noise": torch.rand(batch, 16, generator=_generator(5))}


def waveform_and_text(batch: int, samples: int, target: int) -> Inputs:
    return {**waveform(batch, samples), "decoder_input_ids": tokens(batch, target)}


TEXT = {"input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "seq"}}
SEQ2SEQ = {**TEXT, "decoder_input_ids": {0: "batch", 1: "target"}}
IMAGE = {"pixel_values": {0: "batch"}}
IMAGE_AND_TEXT = {
    "input_ids": {0: "texts", 1: "seq"},
    "attention_mask": {0: "texts", 1: "seq"},
    "pixel_values": {0: "batch"},
}
SPECTROGRAM = {
    "input_features": {0: "batch"},
    "decoder_input_ids": {0: "batch", 1: "target"},
}
WAVEFORM = {"input_values": {0: "batch", 1: "samples"}}
NOISY_IMAGE = {**IMAGE, "noise": {0: "batch"}}
WAVEFORM_AND_TEXT = {**WAVEFORM, "decoder_input_ids": {0: "batch", 1: "target"}}

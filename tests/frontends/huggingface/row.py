"""One row of the table of architectures."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import transformers

from tests.frontends.huggingface.kinds import Kind


@dataclasses.dataclass(frozen=True)
class Row:
    """One architecture.

    Attributes:
        name: Name of the model class in transformers.
        kind: How it is fed.
        options: Options of its config that make it tiny.
        broken: Why it is known not to work; empty where it does.
    """

    name: str
    kind: Kind
    options: dict[str, Any]
    broken: str = ""

    def build(self) -> torch.nn.Module:
        """The model with seeded random weights, in eval mode."""
        model_class = getattr(transformers, self.name)
        model = model_class(model_class.config_class(**self.options))
        randomise(model)
        return model.eval()


def row(name: str, kind: Kind, **options: Any) -> Row:
    return Row(name, kind, options)


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

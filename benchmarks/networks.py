"""Networks that transformers does not have, written in plain PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class DenseLayer(nn.Module):
    """BN-ReLU-Conv1x1, BN-ReLU-Conv3x3; the output is appended to the input's channels."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(functional.relu(self.norm1(x)))
        y = self.conv2(functional.relu(self.norm2(y)))
        return torch.cat([x, y], dim=1)


class DenseNet121(nn.Module):
    """Densely connected convolutional network (Huang et al., 2017, arXiv 1608.06993), growth 32."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        channels, growth = 64, 32
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        for number, depth in enumerate((6, 12, 24, 16)):
            if number:
                layers += [nn.BatchNorm2d(channels), nn.ReLU()]
                layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
            for _ in range(depth):
                layers.append(DenseLayer(channels, growth))
                channels += growth
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, classes)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(pixel_values).mean(dim=(2, 3)))


class ResidualBlock(nn.Module):
    """GroupNorm-SiLU-Conv twice, the time embedding added between them."""

    def __init__(self, channels: int, out_channels: int, time_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(32, channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_channels, out_channels)
        self.norm2 = nn.GroupNorm(32, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        y = self.conv1(functional.silu(self.norm1(x)))
        y = y + self.time(functional.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(functional.silu(self.norm2(y)))


class SpatialAttention(nn.Module):
    """Self-attention, cross-attention to the text and a GEGLU, over the pixels of an image."""

    def __init__(self, channels: int, context_channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(32, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_kv = nn.Linear(context_channels, 2 * channels, bias=False)
        self.out = nn.ModuleList(nn.Linear(channels, channels) for _ in range(2))
        self.gate = nn.Linear(channels, 8 * channels)
        self.down = nn.Linear(4 * channels, channels)

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    def forward(self, image: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        x = self.norm(image).flatten(2).transpose(1, 2)
        x = x + self.out[0](self.attend(*self.to_qkv(self.norms[0](x)).chunk(3, dim=2)))
        keys, values = self.to_kv(context).chunk(2, dim=2)
        x = x + self.out[1](self.attend(self.to_q(self.norms[1](x)), keys, values))
        value, gate = self.gate(self.norms[2](x)).chunk(2, dim=2)
        x = x + self.down(value * functional.gelu(gate))
        return image + x.transpose(1, 2).unflatten(2, image.shape[2:])


class UNetBlock(nn.Module):
    """A level down and up of a latent diffusion UNet (Rombach et al., 2022, arXiv 2112.10752)."""

    def __init__(self, channels: int = 128, time_channels: int = 512, context: int = 256) -> None:
        super().__init__()
        wide = 2 * channels
        self.enter = nn.Conv2d(4, channels, 3, padding=1)
        self.down = ResidualBlock(channels, channels, time_channels)
        self.down_attention = SpatialAttention(channels, context, heads=4)
        self.shrink = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.middle = ResidualBlock(channels, wide, time_channels)
        self.middle_attention = SpatialAttention(wide, context, heads=8)
        self.grow = nn.Conv2d(wide, channels, 3, padding=1)
        self.up = ResidualBlock(2 * channels, channels, time_channels)
        self.leave = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, 4, 3, padding=1)
        )

    def forward(
        self, latent: torch.Tensor, time: torch.Tensor, context: torch.Tensor
    ) -> torch.Tensor:
        x = self.enter(latent)
        kept = self.down_attention(self.down(x, time), context)
        x = self.middle_attention(self.middle(self.shrink(kept), time), context)
        x = self.grow(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.leave(self.up(torch.cat([x, kept], dim=1), time))


class BiLstmTagger(nn.Module):
    """Embedding, two bidirectional LSTM layers, one label for each token."""

    def __init__(self, vocabulary: int = 10_000, width: int = 128, labels: int = 17) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, bidirectional=True, batch_first=True)
        self.classifier = nn.Linear(2 * width, labels)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.lstm(self.embedding(input_ids))[0])


class Mlp(nn.Module):
    """Three linear layers: for trying the harness itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

"""Small networks in the style of the architectures that the rules of rare spellings are for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ArcFace(nn.Module):
    """A face embedding: improved residual unit, flattened head (Deng et al., 2018, 1801.07698)."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Sequential(
            nn.BatchNorm2d(3),
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.PReLU(8),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.shortcut = nn.Conv2d(3, 8, 1, stride=2, bias=False)
        self.head = nn.Sequential(
            nn.BatchNorm2d(8),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(8 * 4 * 4, 12),
            nn.BatchNorm1d(12),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 127.5) * 0.0078125
        x = self.head(self.unit(x) + self.shortcut(x))
        return functional.normalize(x)


class Yolo(nn.Module):
    """A stage of CSPDarknet with Mish, and a neck (Bochkovskiy et al., 2020, 2004.10934)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Mish())
        self.left, self.right = (nn.Conv2d(8, 4, 1) for _ in range(2))
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (3, 5))
        self.out = nn.Sequential(nn.Conv2d(16, 8, 1), nn.LeakyReLU(0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x / 255)
        left, right = functional.mish(self.left(x)), self.right(x)
        x = torch.cat([torch.cat([left, right], 1), *(pool(left) for pool in self.pools)], 1)
        return self.out(x)


class Segmenter(nn.Module):
    """A fully convolutional network that gives probabilities for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))
        self.mean, self.std = (nn.Parameter(1 + torch.rand(3, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = (x / 127 * 2 - 1 - self.mean) / self.std
        return functional.interpolate(self.body(x), scale_factor=2.0).softmax(1)


class ConvMixer(nn.Module):
    """Patches, depthwise and 1x1 convolutions, norms after GELU (Trockman, Kolter, 2201.09792)."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, channels, 2, stride=2)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(3))
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))
        self.mean = nn.Parameter(torch.rand(3, 1, 1))
        self.std = nn.Parameter(1 + torch.rand(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = (x / 255 - self.mean) / self.std
        x = self.norms[0](functional.gelu(self.patches(x)))
        x = x + self.scale * self.norms[1](functional.gelu(self.depthwise(x)))
        return self.norms[2](functional.gelu(self.pointwise(x))).mean((2, 3))


class InceptionResNet(nn.Module):
    """Padding as TensorFlow does it, branches, a scaled residual (Szegedy et al., 1602.07261)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.branches = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in range(2))
        self.up = nn.Conv2d(8, 8, 1)
        self.pool = nn.Sequential(nn.ConstantPad2d(1, -torch.inf), nn.MaxPool2d(3, 1))
        self.average = nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(3, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        branches = torch.cat([functional.relu(branch(x)) for branch in self.branches], 1)
        x = functional.relu(x + 0.17 * self.up(branches))
        return self.average(self.pool(x))


class Residual(nn.Module):
    """A basic block of ResNet (He et al., 2015, 1512.03385), and retrieval by generalised mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first, self.second = (nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        y = functional.relu(self.norms[0](self.first(x)))
        x = functional.relu(self.norms[1](self.second(y)) + x)
        return x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)


class Generator(nn.Module):
    """DCGAN's upsampling with StyleGAN2's biases and modulation (Karras et al., 1912.04958)."""

    def __init__(self) -> None:
        super().__init__()
        self.style = nn.Linear(4, 8)
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bias = nn.Parameter(torch.rand(1, 8, 1, 1))
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.image = nn.Conv2d(4, 3, 1, bias=False)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = x * (self.style(style) + 1)[:, :3, None, None]
        x = functional.leaky_relu(self.conv(x) + self.bias, 0.2) * 2**0.5
        return torch.tanh(self.image(functional.relu(self.norm(self.up(x))) * 0.5))


class StyleTransfer(nn.Module):
    """Adaptive instance norm: statistics of one image for another (Huang et al., 1703.06868)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.gain, self.bias = (nn.Parameter(torch.rand(1, 4, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
        return self.gain * ((x - mean) / torch.sqrt(variance + 1e-5)) + self.bias


class Tabular(nn.Module):
    """Features that are standardised and normed, then layers with norms of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.rand(6))
        self.register_buffer("std", 1 + torch.rand(6))
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 8, bias=False)
        self.third, self.last = nn.Linear(8, 8), nn.Linear(8, 2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm1d(n) for n in (6, 8, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0]((x - self.mean) / self.std).sigmoid()
        x = functional.relu(self.norms[1](self.first(x)))
        x = self.norms[2](torch.tanh(self.second(x)))
        x = functional.relu(self.norms[3](self.third(x)))
        return self.last(x)


class Digits(nn.Module):
    """Pixels scaled to [-1, 1], flattened, into layers with and without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3 * 8 * 8, 8), nn.Linear(8, 4, bias=False)
        self.other = nn.Linear(3 * 8 * 8, 4, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm1d(n) for n in (8, 4))
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.flatten(x)
        y = self.norms[0](functional.elu(self.first((x / 255 - 0.5) / 0.5)))
        return self.norms[1](self.second(self.flatten(y))), self.other(x / 256 - 0.5)


class ValidConvolutions(nn.Module):
    """A small network as Keras tutorials have it: no padding, norms after the activation."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList((nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        self.dense = nn.Linear(8 * 4 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(torch.clamp(conv(x), min=0))
        return self.dense(x.flatten(1))


class Subsampling(nn.Module):
    """LeNet with batch norms, as courses have it: averages, the norm of these, and a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList((nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, bias=False)))
        self.norms = nn.ModuleList((nn.BatchNorm2d(6), nn.BatchNorm2d(8)))
        self.dense = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.convs
        x = torch.sigmoid(self.norms[0](functional.avg_pool2d(first(x), 2)))
        x = torch.sigmoid(self.norms[1](functional.adaptive_avg_pool2d(second(x), 1)))
        return self.dense(x.flatten(1))


class SequenceFirst(nn.Module):
    """PyTorch's own attention over [length, batch, features], its default."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2)
        self.norm = nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return x.transpose(0, 1)


class Speech(nn.Module):
    """A conformer's convolution module (Gulati et al., 2020, arXiv 2005.08100), length last."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, 8)
        self.gate = nn.Conv1d(8, 16, 1)
        self.depthwise = nn.Conv1d(8, 8, 5, padding=2, groups=8)
        self.batch_norm = nn.BatchNorm1d(8)
        self.step = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.glu(self.gate(functional.silu(self.norm(x))), 1)
        y = functional.silu(self.batch_norm(self.depthwise(y))).transpose(1, 2)
        return functional.softplus(self.step(y)) * y


class Einsums(nn.Module):
    """Attention, a bilinear form and a trace-like sum as equations."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        q = x.unflatten(-1, (2, 4))
        p = torch.einsum("bihd,bjhd->bhij", q, q).softmax(-1)
        y = torch.einsum("bhij,bjhd->bihd", p, q)
        z = torch.einsum("bihd,de,bihe->bh", y, self.weight, q)
        return torch.einsum("bihd->bhi", y) + z[..., None]


class Redundant(nn.Module):
    """What people write that does nothing at the sizes at hand."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        parts = torch.cat([*x.chunk(2, 1)], 1)
        mask = ~(~(x > 0))
        y = torch.where(mask, torch.neg(torch.neg(x)), x.repeat(1, 1, 1, 1))
        y = torch.where(torch.tensor(True), y, torch.zeros_like(y))
        y = torch.where(torch.tensor(False), torch.zeros_like(y), y)
        z = functional.pad(y[:, :, 1:][:, :, :, 2:], (0, 0, 0, 0))
        z = torch.where(z > 0, z.transpose(1, 2).transpose(1, 2).double().float(), z)
        stack = torch.stack([torch.cat([part], 1) for part in x.split(1, 1)], 1)
        return torch.maximum(parts, torch.tensor(0.5)), z.expand_as(z), stack.flatten(1).flatten(1)


class Half(nn.Module):
    """A norm as Llama computes it in half precision, and an attention that hides nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(16).half())

    def forward(self, x: Tensor) -> Tensor:
        y = x.half().float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)
        return (self.weight * y.half()).float()


class Decoder(nn.Module):
    """Causal attention by a constant mask; then one whose keys are padded."""

    def __init__(self, length: int = 6) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.register_buffer("causal", torch.full((length, length), -torch.inf).triu(1))
        self.register_buffer("nothing", torch.zeros(length, length))

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        y = self.attention(x, x, x, attn_mask=self.causal, need_weights=False)[0]
        z = self.attention(y, y, y, attn_mask=self.nothing, need_weights=False)[0]
        return self.attention(z, z, z, key_padding_mask=padding, need_weights=False)[0]


class Diffusion(nn.Module):
    """The residual unit of a denoising network: group norm, SiLU, convolution (2112.10752)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.leave = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return x + self.leave(functional.silu(self.norm(x)))


class HandWritten(nn.Module):
    """A step of decoding as tutorials have it: own norms, pairs turned, keys of the past."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.bias, self.scale = (nn.Parameter(torch.rand(16)) for _ in range(3))
        self.query, self.key, self.value = (nn.Linear(16, 16, bias=False) for _ in range(3))
        angles = torch.rand(1, 4)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def norm(self, x: Tensor) -> Tensor:
        mean = x.sum(-1, keepdim=True) / 16
        variance = x.var(-1, keepdim=True)
        x = self.gain * (x - mean) / torch.sqrt(variance + 1e-5) + self.bias
        return self.scale * x / torch.sqrt((x**2).sum(-1, keepdim=True) / 16 + 1e-6)

    def turn(self, x: Tensor) -> Tensor:
        a, b = x[..., 0::2], x[..., 1::2]
        pairs = (a * self.cos - b * self.sin, a * self.sin + b * self.cos)
        return torch.stack(pairs, -1).flatten(-2)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (2, 8)).transpose(1, 2)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.norm(x)
        q, k = (self.turn(self.heads(linear(y))) for linear in (self.query, self.key))
        k = torch.cat([keys, k], 2)
        v = torch.cat([values, self.heads(self.value(y))], 2)
        p = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1)
        return x + (p @ v).transpose(1, 2).flatten(2), k, v


class LateInteraction(nn.Module):
    """All pairs of texts, token by token (ColBERT: Khattab, Zaharia, 2020, 2004.12832)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.document = nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        queries, documents = self.query(x)[:, None], self.document(x)[None]
        return (queries @ documents.transpose(-1, -2)).amax(-1).sum(-1)

"""Plain PyTorch modules keep their numbers, also at sizes they were not captured with."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sardonyx import compiler
from sardonyx.frontends import from_torch
from tests.frontends.torch_compare import check

F32 = 2e-5
BATCH = {0: {0: "batch"}}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


class Recurrent(nn.Module):
    """A recurrent layer as (output, states...), flat."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output, states = self.layer(x)
        return (output, *states) if isinstance(states, tuple) else (output, states)


def images(batch: int, channels: int = 3, height: int = 12, width: int = 10) -> torch.Tensor:
    return torch.randn(batch, channels, height, width)


IMAGE_MODULES = {
    "conv": nn.Conv2d(3, 5, 3, stride=2, padding=1, dilation=2),
    "conv-same": nn.Conv2d(3, 6, (3, 4), padding="same", groups=3),
    "conv-reflect": nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"),
    "conv-transpose": nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
    "batch-norm": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU6()),
    "group-norm": nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.SiLU()),
    "instance-norm": nn.InstanceNorm2d(3, affine=True),
    "max-pool": nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
    "average-pool": nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    "adaptive-pool": nn.AdaptiveAvgPool2d((3, 5)),
    "global-pool": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "upsample": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    "upsample-nearest": nn.Upsample(size=(17, 15), mode="nearest"),
    "pixel-shuffle": nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2)),
    "unfold": nn.Unfold(3, padding=1, stride=2),
    "activations": nn.Sequential(
        nn.GELU(), nn.ELU(), nn.Hardswish(), nn.Softplus(), nn.Mish(), nn.LogSoftmax(1)
    ),
}


@pytest.mark.parametrize("name", IMAGE_MODULES)
def test_image_module(name: str) -> None:
    check(
        IMAGE_MODULES[name],
        *([images(batch)] for batch in (2, 1, 5)),
        dynamic=BATCH,
        rtol=F32,
    )


def test_dynamic_height_and_width() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    sizes = [(2, 12, 10), (1, 9, 21), (3, 16, 7)]
    calls = [[images(batch, 3, height, width)] for batch, height, width in sizes]
    check(module, *calls, dynamic={0: ("batch", None, "height", "width")}, rtol=F32)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layer(kind: type[nn.RNNBase], bidirectional: bool) -> None:
    layer = kind(5, 6, num_layers=2, batch_first=True, bidirectional=bidirectional)
    calls = [[torch.randn(batch, seq, 5)] for batch, seq in [(2, 4), (1, 7), (3, 1)]]
    check(Recurrent(layer), *calls, dynamic={"x": {0: "batch", 1: "seq"}}, rtol=F32)


def test_plain_rnn_of_fixed_length() -> None:
    calls = [[torch.randn(4, batch, 5)] for batch in (2, 1, 3)]
    check(Recurrent(nn.RNN(5, 6)), *calls, dynamic={"x": {1: "batch"}}, rtol=F32)


class SelfAttention(nn.Module):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, **options)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.attention(x, x, x, key_padding_mask=mask)


def padding(batch: int, seq: int) -> torch.Tensor:
    return torch.arange(seq) >= seq - (torch.arange(batch) % seq)[:, None]


@pytest.mark.parametrize("fused", [True, False])
def test_multihead_attention(fused: bool) -> None:
    module = SelfAttention(batch_first=True)
    sizes = [(2, 5), (1, 3), (4, 9)]
    if fused:  # without weights to return, PyTorch uses its fused attention
        module.attention.register_forward_pre_hook(
            lambda _, args, kwargs: (args, {**kwargs, "need_weights": False}), with_kwargs=True
        )
        module.forward = lambda x, mask: module.attention(x, x, x, key_padding_mask=mask)[0]
    calls = [[torch.randn(batch, seq, 8), padding(batch, seq)] for batch, seq in sizes]
    dynamic = {name: {0: "batch", 1: "seq"} for name in ("x", "mask")}
    check(module, *calls, dynamic=dynamic, rtol=F32)


def test_transformer_encoder() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    module = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    calls = [[torch.randn(batch, seq, 8)] for batch, seq in [(2, 5), (1, 3), (4, 9)]]
    check(module, *calls, dynamic={"src": {0: "batch", 1: "seq"}}, rtol=F32)


def test_transformer() -> None:
    module = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    sizes = [(2, 5, 4), (1, 3, 6), (4, 9, 2)]
    calls = [[torch.randn(b, s, 8), torch.randn(b, t, 8)] for b, s, t in sizes]
    dynamic = {"src": {0: "batch", 1: "source"}, "tgt": {0: "batch", 1: "target"}}
    check(module, *calls, dynamic=dynamic, rtol=F32)


class Attention(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.options = options

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, **self.options)


@pytest.mark.parametrize("batch_first", [True, False])
def test_queries_keys_and_values_are_one_product(batch_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first).eval()
    program = compiler.compile(from_torch(layer, torch.randn(3, 5, 8)), target="cpu")
    products = [node for node in program.model.graph if node.op_type in ("MatMul", "Gemm")]
    widths = sorted(max(node.inputs[1].shape.numpy()) for node in products)
    assert widths == [8, 16, 16, 24]


@pytest.mark.parametrize(
    ("heads", "options"),
    [
        ((4, 4), {}),
        ((4, 4), {"is_causal": True}),
        ((4, 4), {"scale": 0.3}),
        ((4, 2), {"enable_gqa": True}),
        ((4, 1), {"enable_gqa": True, "is_causal": True}),
        ((4, 4), {"enable_gqa": True}),
        (None, {"is_causal": True}),
    ],
    ids=str,
)
def test_fused_attention(heads: tuple[int, int] | None, options: dict[str, object]) -> None:
    def call(batch: int, seq: int) -> list[torch.Tensor]:
        query = (batch, heads[0], seq, 8) if heads else (batch, seq, 8)
        key = (batch, heads[1], seq, 8) if heads else (batch, seq, 8)
        return [torch.randn(query), torch.randn(key), torch.randn(key)]

    seq_axis = 2 if heads else 1
    check(
        Attention(**options),
        *(call(batch, seq) for batch, seq in [(2, 5), (1, 3), (3, 9)]),
        dynamic={name: {0: "batch", seq_axis: "seq"} for name in "qkv"},
        rtol=F32,
    )


@pytest.mark.parametrize("bias", [True, False])
def test_convolution_over_three_dims(bias: bool) -> None:
    module = nn.Conv3d(2, 3, (2, 3, 1), stride=2, padding=1, bias=bias)
    check(module, *([torch.randn(n, 2, 5, 4, 3)] for n in (2, 1, 4)), dynamic=BATCH, rtol=F32)
    check(module, [torch.randn(2, 5, 4, 3)], rtol=F32)


class Distance(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        return [torch.cdist(x, y, p=p) for p in (2.0, 1.0, 0.0, 3.0, float("inf"))]


def test_pairwise_distance() -> None:
    calls = [[torch.randn(n, m, 3), torch.randn(n, 4, 3)] for n, m in ((2, 5), (1, 1), (3, 7))]
    for x, y in calls:
        y[:, 0, 0] = x[:, 0, 0]
    dynamic = {"x": {0: "batch", 1: "rows"}, "y": {0: "batch"}}
    check(Distance(), *calls, dynamic=dynamic, rtol=F32)


class ScaledBySize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * math.sqrt(x.shape[0]) / x.shape[1] + x.numel()


def test_arithmetic_on_sizes() -> None:
    calls = [[torch.randn(n, m)] for n, m in ((2, 3), (1, 5), (7, 1))]
    check(ScaledBySize(), *calls, dynamic={0: ("rows", "columns")}, rtol=F32)


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda y: y.sin() + y, lambda y: y * y - 1, (x,))


def test_branch_on_values() -> None:
    x = torch.rand(2, 3)
    check(Branch(), [x], [-x], [torch.rand(5, 3)], dynamic=BATCH, rtol=F32)


class WhileLoop(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.tensor(0)
        go_on = lambda step, y: y.sum() < 50  # noqa: E731
        double = lambda step, y: (step + 1, y * 2)  # noqa: E731
        return torch.ops.higher_order.while_loop(go_on, double, (steps, x), ())[1]


def test_loop_on_values() -> None:
    x = torch.rand(2, 3) + 0.1
    check(WhileLoop(), [x], [x * 40], [torch.rand(4, 3) + 0.1], dynamic=BATCH, rtol=F32)


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.randn(3))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[:, 0] = 7.0
        y[:, 1:].mul_(2)
        y += self.offset
        self.scratch.add_(1)
        return y + self.scratch


def test_in_place_updates() -> None:
    check(InPlace(), [torch.randn(2, 3)], dynamic=BATCH, rtol=F32)


class Indexing(nn.Module):
    def forward(self, x: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, ...]:
        picked = x[torch.arange(x.shape[0]), index]
        filled = x.masked_fill(x > 0.5, -1.0)
        ranks = torch.topk(x, 2, dim=1)
        split = x.split([1, 3], dim=1)
        return picked, filled, ranks.values, ranks.indices, *split, x.cumsum(1), x.flip(1)


def test_indexing() -> None:
    calls = [[torch.randn(n, 4), torch.randint(0, 4, (n,))] for n in (3, 1, 6)]
    check(Indexing(), *calls, dynamic={"x": {0: "batch"}, "index": {0: "batch"}}, rtol=F32)


class Promote(nn.Module):
    def forward(self, i: torch.Tensor, f: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        mixed = [i + f, i * 2, i / 2, i // 3, i % 3, i + b, b & (f > 0), b.sum()]
        scalar_first = [1.0 - i, 3 - i, 1 - f, 2.0 / f, 2.5**i, i.shape[0] - i, 0.5 - b.int()]
        return [*mixed, *scalar_first, torch.rsub(i, 2.5, alpha=3), f.to(torch.int32)]


def test_types_are_promoted_as_in_pytorch() -> None:
    def call(batch: int) -> list[torch.Tensor]:
        integers = torch.randint(-9, 9, (batch, 4))
        return [integers, torch.randn(batch, 4), integers > 1]

    check(Promote(), call(2), call(1), dynamic={n: {0: "batch"} for n in "ifb"}, rtol=F32)


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float16, 5e-3)], ids=str
)
def test_floating_point_types(dtype: torch.dtype, rtol: float) -> None:
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Softmax(-1)).to(dtype)
    calls = [[torch.randn(batch, 6, dtype=dtype)] for batch in (2, 1, 5)]
    check(module, *calls, dynamic=BATCH, rtol=rtol)


class Embedder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(ids))


def test_tied_weights_are_stored_once() -> None:
    calls = [[torch.randint(0, 11, (batch, 4))] for batch in (2, 1, 3)]
    model = check(Embedder(), *calls, dynamic=BATCH, rtol=F32)
    assert [value.shape for value in model.graph.initializers.values()] == [(11, 6)]

"""Whole models equal their PyTorch twins with the same weights."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree

RTOL = 1e-5


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(7)


def normal(*shape):
    return torch.randn(*shape)


@dsl.model(x=dsl.f32["batch", 1, 28, 28])
def lenet(x):
    x = dsl.max_pool(dsl.relu(dsl.conv(x, 6, 5, padding=2)), 2)
    x = dsl.max_pool(dsl.relu(dsl.conv(x, 16, 5)), 2)
    x = dsl.relu(dsl.linear(dsl.flatten(x), 120))
    return dsl.linear(dsl.relu(dsl.linear(x, 84)), 10)


@pytest.mark.parametrize("batch", [1, 3])
def test_lenet(batch):
    twin = nn.Sequential(
        *[nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()],
        *[nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)],
    )
    layers = {"conv": 0, "conv_1": 3, "linear": 7, "linear_1": 9, "linear_2": 11}
    names = {f"{d}.{p}": f"{t}.{p}" for d, t in layers.items() for p in ("weight", "bias")}
    x = normal(batch, 1, 28, 28)
    model = lenet.build().load(twin.state_dict(), names)
    agree(model, twin(x).detach(), rtol=RTOL, x=x.numpy())


def test_lenet_is_short():
    lines = inspect.getsource(lenet._function).splitlines()
    assert len(lines) <= 15


@dsl.model(x=dsl.f32["batch", 2])
def exclusive_or(x):
    return dsl.sigmoid(dsl.linear(dsl.relu(dsl.linear(x, 2, name="hidden")), 1, name="output"))


def test_a_perceptron_with_a_hidden_layer_computes_exclusive_or():
    state = {
        "hidden.weight": np.array([[1, 1], [1, 1]]),
        "hidden.bias": np.array([0, -1]),
        "output.weight": np.array([[10, -20]]),
        "output.bias": np.array([-5]),
    }
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    wanted = 1 / (1 + np.exp(-10 * (x.sum(1, keepdims=True) == 1) + 5))
    assert [round(float(v)) for v in wanted.ravel()] == [0, 1, 1, 0]
    agree(exclusive_or.build().load(state), wanted.astype(np.float32), rtol=1e-6, x=x)


@pytest.mark.parametrize(
    ("activation", "twin"),
    [
        (dsl.relu, torch.relu),
        (dsl.tanh, torch.tanh),
        (dsl.gelu, nn.functional.gelu),
        (lambda x: dsl.gelu(x, "tanh"), lambda x: nn.functional.gelu(x, approximate="tanh")),
        (dsl.silu, nn.functional.silu),
        (dsl.sigmoid, torch.sigmoid),
        (lambda x: dsl.leaky_relu(x, 0.2), lambda x: nn.functional.leaky_relu(x, 0.2)),
        (dsl.softmax, lambda x: torch.softmax(x, -1)),
        (lambda x: dsl.log_softmax(x, 0), lambda x: torch.log_softmax(x, 0)),
        (dsl.softplus, nn.functional.softplus),
        (dsl.mish, nn.functional.mish),
        (dsl.hard_swish, nn.functional.hardswish),
        (dsl.hard_sigmoid, nn.functional.hardsigmoid),
        (dsl.elu, nn.functional.elu),
        (dsl.selu, nn.functional.selu),
    ],
)
def test_multi_layer_perceptron(activation, twin):
    @dsl.model(x=dsl.f32["batch", "time", 6])
    def perceptron(x):
        return dsl.linear(activation(dsl.linear(x, 9)), 4, bias=False)

    first, second = nn.Linear(6, 9), nn.Linear(9, 4, bias=False)
    state = {
        "linear.weight": first.weight,
        "linear.bias": first.bias,
        "linear_1.weight": second.weight,
    }
    x = normal(3, 1, 6)
    perceptron.load(state)
    agree(perceptron, second(twin(first(x))).detach(), rtol=RTOL, x=x.numpy())


def encoder_block(x, mask, heads, hidden):
    with dsl.scope("block"):
        x = dsl.layer_norm(x + dsl.multi_head_attention(x, heads, mask=mask), name="norm1")
        wide = dsl.gelu(dsl.linear(x, hidden, name="linear1"))
        return dsl.layer_norm(x + dsl.linear(wide, x.shape[-1], name="linear2"), name="norm2")


@dsl.model(x=dsl.f32["batch", "length", 12], keep=dsl.bool_["batch", "length"])
def encoder(x, keep):
    return encoder_block(x, keep[:, None, None, :], heads=3, hidden=20)


def attention_state(twin, prefix):
    """The weights of nn.MultiheadAttention under the names that the language gives them."""
    parts = zip(
        ("query", "key", "value"), twin.in_proj_weight.chunk(3), twin.in_proj_bias.chunk(3),
        strict=True,
    )  # fmt: skip
    state = {
        f"{prefix}.output.weight": twin.out_proj.weight,
        f"{prefix}.output.bias": twin.out_proj.bias,
    }
    for name, weight, bias in parts:
        state |= {f"{prefix}.{name}.weight": weight, f"{prefix}.{name}.bias": bias}
    return state


@pytest.mark.parametrize(("batch", "length"), [(2, 5), (1, 1), (3, 8)])
def test_transformer_encoder_block(batch, length):
    twin = nn.TransformerEncoderLayer(
        12, 3, dim_feedforward=20, activation="gelu", batch_first=True
    ).train()
    for module in twin.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    twin.self_attn.dropout = 0.0
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    state = {f"block.{k}": v for k, v in twin.state_dict().items() if "self_attn" not in k}
    state |= attention_state(twin.self_attn, "block.attention")
    x = normal(batch, length, 12)
    keep = torch.rand(batch, length) < 0.7
    keep[:, 0] = True
    wanted = twin(x, src_key_padding_mask=~keep).detach()
    model = encoder.build().load(state)
    agree(model, wanted, rtol=RTOL, x=x.numpy(), keep=keep.numpy())


@dsl.model(ids=dsl.i64["batch", "length"])
def gpt(ids, vocabulary=31, size=16, heads=4, layers=2):
    table = dsl.parameter("wte.weight", (vocabulary, size), dsl.init.normal())
    places = dsl.embedding(dsl.arange(ids.shape[1]), 10, size, name="wpe")
    x = dsl.embedding(ids, vocabulary, size, weight=table) + places
    for layer in range(layers):
        with dsl.scope(f"h.{layer}"):
            near = dsl.layer_norm(x, name="ln_1")
            x = x + dsl.multi_head_attention(near, heads, causal=True, name="attn")
            wide = dsl.gelu(dsl.linear(dsl.layer_norm(x, name="ln_2"), 4 * size, name="fc"), "tanh")
            x = x + dsl.linear(wide, size, name="proj")
    x = dsl.layer_norm(x, name="ln_f")
    return dsl.linear(x, vocabulary, bias=False, weight=table)


class GptTwin(nn.Module):
    """GPT-2 as PyTorch spells it, with the attention written out."""

    def __init__(self, vocabulary=31, size=16, heads=4, layers=2):
        super().__init__()
        self.heads = heads
        self.wte, self.wpe = nn.Embedding(vocabulary, size), nn.Embedding(10, size)
        self.ln_f = nn.LayerNorm(size)
        names = {"query": size, "key": size, "value": size, "output": size}
        self.h = nn.ModuleList(
            nn.ModuleDict(
                {
                    "ln_1": nn.LayerNorm(size),
                    "attn": nn.ModuleDict({n: nn.Linear(size, w) for n, w in names.items()}),
                    "ln_2": nn.LayerNorm(size),
                    "fc": nn.Linear(size, 4 * size),
                    "proj": nn.Linear(4 * size, size),
                }
            )
            for _ in range(layers)
        )

    def attend(self, part, x):
        batch, length, size = x.shape
        q, k, v = (
            part[n](x).view(batch, length, self.heads, -1).transpose(1, 2)
            for n in ("query", "key", "value")
        )
        scores = q @ k.transpose(-1, -2) / (size // self.heads) ** 0.5
        future = torch.ones(length, length).triu(1).bool()
        mixed = torch.softmax(scores.masked_fill(future, float("-inf")), -1) @ v
        return part["output"](mixed.transpose(1, 2).reshape(batch, length, size))

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = x + self.attend(block["attn"], block["ln_1"](x))
            wide = nn.functional.gelu(block["fc"](block["ln_2"](x)), approximate="tanh")
            x = x + block["proj"](wide)
        return self.ln_f(x) @ self.wte.weight.T


@pytest.mark.parametrize(("batch", "length"), [(2, 7), (1, 1), (3, 10)])
def test_gpt(batch, length):
    twin = GptTwin()
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    ids = torch.randint(0, 31, (batch, length))
    model = gpt.build().load(twin.state_dict())
    agree(model, twin(ids).detach(), rtol=RTOL, ids=ids.numpy())


def test_a_model_is_a_part_of_another():
    @dsl.model(x=dsl.f32["n", 1, 28, 28], y=dsl.f32["n", 1, 28, 28])
    def siamese(x, y):
        with dsl.scope("left"):
            a = lenet(x)
        with dsl.scope("right"):
            b = lenet(y)
        return ((a - b) ** 2).sum(-1)

    names = list(siamese.parameters())
    assert [n.removeprefix("left.") for n in names[:10]] == list(lenet.parameters())
    assert [n.removeprefix("right.") for n in names[10:]] == list(lenet.parameters())
    same = {n: lenet.parameters()[n.split(".", 1)[1]].numpy() for n in names}
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype(np.float32)
    agree(siamese.build().load(same), np.zeros(2, np.float32), rtol=RTOL, x=x, y=x)


@dsl.model(x=dsl.f32["batch", 4])
def wide(x, width=3, *, twice=False):
    x = dsl.linear(x, width)
    return x + x if twice else x


def test_a_model_is_built_with_other_options():
    other = wide.build(x=dsl.f32["batch", 6], width=5)
    assert other.parameters()["linear.weight"].shape == (5, 6)
    assert wide.parameters()["linear.weight"].shape == (3, 4)
    twice = other.build(twice=True, seed=2)
    assert (twice.options, twice.seed) == ({"width": 5, "twice": True}, 2)
    assert len(twice.to_ir().graph) == len(other.to_ir().graph) + 1


def test_options_hold_where_a_model_is_a_part_of_another():
    narrow = wide.build(width=2)

    @dsl.model(x=dsl.f32["n", 4])
    def both(x):
        return narrow(x) + narrow(x, twice=True)

    assert [p.shape for p in both.parameters().values()] == [(2, 4), (2,)] * 2


def test_an_option_that_a_function_does_not_take_is_refused():
    with pytest.raises(dsl.DslError) as error:
        wide.build(depth=3)
    assert error.value.what == "wide has no argument 'depth'."
    assert (error.value.found, error.value.expected) == ("depth", "x, width, twice")
    with pytest.raises(dsl.DslError, match="The input 'x' has no type"):
        wide.build(x=5)

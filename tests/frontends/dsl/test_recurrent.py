"""Recurrent layers equal PyTorch's, with PyTorch's weights under PyTorch's names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sardonyx.frontends import dsl
from tests.frontends.dsl.support import run

CASES = {
    "rnn": (dsl.rnn, nn.RNN, {}),
    "rnn, relu": (
        lambda *given, **more: dsl.rnn(*given, activation="relu", **more),
        lambda *given, **more: nn.RNN(*given, nonlinearity="relu", **more),
        {},
    ),
    "rnn, both ways": (dsl.rnn, nn.RNN, {"bidirectional": True}),
    "lstm": (dsl.lstm, nn.LSTM, {}),
    "lstm, no bias": (dsl.lstm, nn.LSTM, {"bias": False}),
    "lstm, both ways": (dsl.lstm, nn.LSTM, {"bidirectional": True}),
    "gru": (dsl.gru, nn.GRU, {}),
    "gru, both ways": (dsl.gru, nn.GRU, {"bidirectional": True}),
}
# The reference evaluator of onnx knows neither two directions nor relu.
BOTH = ("lstm", "lstm, no bias", "gru", "rnn")


def flat(results) -> list:
    """Outputs and last states, one after the other."""
    outputs, last = results
    return [outputs, *last] if isinstance(last, tuple) else [outputs, last]


@pytest.mark.parametrize("has_state", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_recurrent_layer_equals_its_twin(name, has_state):
    layer, twin_of, options = CASES[name]
    ways = 2 if options.get("bidirectional") else 1
    is_pair = layer is dsl.lstm

    @dsl.model(
        x=dsl.f32["time", "batch", 3], h=dsl.f32[ways, "batch", 4], c=dsl.f32[ways, "batch", 4]
    )
    def net(x, h, c):
        state = ((h, c) if is_pair else h) if has_state else None
        return tuple(flat(layer(x, 4, state, name="net", **options)))

    torch.manual_seed(0)
    twin = twin_of(3, 4, **options)
    net.load(twin.state_dict(), {name: name.removeprefix("net.") for name in net.parameters()})
    rng = np.random.default_rng(0)
    shapes = {"x": (5, 2, 3), "h": (ways, 2, 4), "c": (ways, 2, 4)}
    feeds = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
    x, h, c = map(torch.from_numpy, feeds.values())
    expected = flat(twin(x, *([(h, c) if is_pair else h] if has_state else [])))
    evaluators = ("onnxruntime", "reference") if name in BOTH else ("onnxruntime",)
    for results in run(net, evaluators, **feeds).values():
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_sizes_are_known():
    @dsl.model(x=dsl.f32["time", "batch", 3])
    def net(x):
        outputs, (hidden, _) = dsl.lstm(x, 4, bidirectional=True)
        return outputs.reshape(x.shape[0] * x.shape[1], 8), hidden

    first, second = net.to_ir().graph.outputs
    assert list(map(str, first.shape)) == ["batch*time", "8"]
    assert list(map(str, second.shape)) == ["2", "batch", "4"]


@pytest.mark.parametrize(
    ("wrong", "what", "found"),
    [
        (lambda x: dsl.lstm(x[0], 4), "lstm goes along the first of three axes.", "f32[batch, 3]"),
        (lambda x: dsl.gru(x, 4, x), "The first state of gru does not fit.", "[7, batch, 3]"),
        (lambda x: dsl.rnn(x, 0), "rnn needs a positive number of units.", "0"),
    ],
)
def test_mistakes_are_said(wrong, what, found):
    @dsl.model(x=dsl.f32[7, "batch", 3])
    def net(x):
        return wrong(x)[0]

    with pytest.raises(dsl.DslError) as caught:
        net.to_ir()
    assert caught.value.what == what
    assert found in caught.value.found

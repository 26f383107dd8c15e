"""LSTM and GRU over any number of steps, with projections and without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.frontends.torch_compare import check

# PyTorch tells once that its kernel is another then.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

ROUNDING = 2e-6
DYNAMIC = {"x": {0: "b", 1: "t"}}


class Layer(nn.Module):
    def __init__(self, layer, *states):
        super().__init__()
        self.layer, self.states = layer, states

    def forward(self, x):
        states = tuple(state.expand(-1, x.shape[0], -1) for state in self.states)
        steps, last = self.layer(x, states or None)
        return steps, *(last if isinstance(last, tuple) else (last,))


def rows(*shape):
    return [torch.randn(*shape)]


PROJECTED = {
    "plain": (nn.LSTM(4, 5, batch_first=True, proj_size=3), ()),
    "of-two-layers": (
        nn.LSTM(4, 5, 2, batch_first=True, proj_size=2, bidirectional=True, bias=False),
        (),
    ),
    "with-states": (
        nn.LSTM(4, 5, batch_first=True, proj_size=3, bidirectional=True),
        (torch.randn(2, 1, 3), torch.randn(2, 1, 5)),
    ),
}


@pytest.mark.parametrize("name", PROJECTED)
def test_projections(name):
    layer, states = PROJECTED[name]
    calls = [rows(2, 7, 4), rows(3, 1, 4), rows(1, 12, 4)]
    model = check(Layer(layer, *states), *calls, rtol=ROUNDING, dynamic=DYNAMIC)
    count = layer.num_layers * (1 + layer.bidirectional)
    assert [node.op_type for node in model.graph].count("LSTM") == count


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_capture_does_not_remember_the_sizes_of_the_one_before(kind):
    layer = Layer(kind(4, 5, batch_first=True))
    check(layer, rows(2, 7, 4), rtol=ROUNDING)
    check(layer, rows(2, 7, 4), rows(3, 1, 4), rows(1, 12, 4), rtol=ROUNDING, dynamic=DYNAMIC)

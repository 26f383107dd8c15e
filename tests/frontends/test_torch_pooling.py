"""Pooling to a number of windows that a trace knows, over sizes that it does not."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.frontends.torch_compare import check

ROUNDING = 2e-6
PLACES = {"return_indices": True}
IMAGE = {0: {0: "b", 2: "h", 3: "w"}}


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def images(*sizes: tuple[int, int]) -> list[list[torch.Tensor]]:
    return [[torch.randn(1 + i % 3, 3, *size)] for i, size in enumerate(sizes)]


# The first is traced; larger and smaller ones follow, that the windows divide and do not.
SIZES = ((11, 13), (12, 12), (2, 17), (1, 1), (6, 10), (31, 3), (18, 25))

POOLED = {
    "means": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
    "means-of-the-height": lambda x: F.adaptive_avg_pool2d(x, (4, 1)),
    "means-of-one-axis": lambda x: F.adaptive_avg_pool2d(x[0], (None, 4)),
    "means-of-a-half": lambda x: F.adaptive_avg_pool2d(x, ((x.shape[2] + 1) // 2, x.shape[2])),
    "means-of-rows": lambda x: F.adaptive_avg_pool1d(x[:, :, 0], 4),
    "means-of-volumes": lambda x: F.adaptive_avg_pool3d(x[:, None], (2, None, 3)),
    "largest": lambda x: F.adaptive_max_pool2d(x, (3, 5), **PLACES),
    "largest-of-rows": lambda x: F.adaptive_max_pool1d(x[:, :, 0], 4, **PLACES),
}


@pytest.mark.parametrize("name", POOLED)
def test_adaptive_pooling_at_every_size(name):
    check(Function(POOLED[name]), *images(*SIZES), rtol=ROUNDING, dynamic=IMAGE)


def test_adaptive_pooling_at_a_multiple_of_its_windows():
    """The trace of this size alone would be right for means of equal windows."""
    pool = Function(lambda x: F.adaptive_avg_pool2d(x, (3, 4)))
    check(pool, *images((12, 12), *SIZES), rtol=ROUNDING, dynamic=IMAGE)


def test_adaptive_pooling_of_a_fixed_size_is_one_operator():
    model = check(
        Function(lambda x: F.adaptive_avg_pool2d(x, (3, 4))),
        *images((12, 12), (12, 12)),
        rtol=ROUNDING,
        dynamic={0: {0: "b"}},
    )
    assert [node.op_type for node in model.graph] == ["AveragePool"]

"""Images resized to the nearest number, and with antialiasing, over sizes no trace knows."""

from __future__ import annotations

import functools

import pytest
import torch
from torch.nn import functional as F

from tests.frontends.torch_compare import check

ROUNDING = 2e-6
SIZES = ((40, 31), (10, 20), (23, 9), (5, 64))
IMAGE = {"x": {0: "b", 2: "h", 3: "w"}}
SMOOTH = {"antialias": True, "align_corners": False}


class Resize(torch.nn.Module):
    def __init__(self, resize):
        super().__init__()
        self.resize = resize

    def forward(self, x):
        return self.resize(x)


RESIZED = {
    "by-a-factor": functools.partial(F.interpolate, scale_factor=2.3),
    "by-a-factor-from-the-middle": functools.partial(
        F.interpolate, scale_factor=0.7, mode="nearest-exact"
    ),
    "to-a-size": lambda x: F.interpolate(x, (x.shape[2] * 2 + 1, 71)),
    "bilinear": functools.partial(F.interpolate, scale_factor=0.45, mode="bilinear", **SMOOTH),
    "bicubic-to-a-size": lambda x: F.interpolate(
        x, (7, x.shape[3] * 2 - 1), mode="bicubic", align_corners=True, antialias=True
    ),
}


@pytest.mark.parametrize("name", RESIZED)
def test_resizing_at_every_size(name):
    calls = [[torch.randn(1 + i % 2, 2, *size)] for i, size in enumerate(SIZES)]
    check(Resize(RESIZED[name]), *calls, rtol=ROUNDING, dynamic=IMAGE)


def test_what_resize_does_right_is_left_to_it():
    double = functools.partial(F.interpolate, scale_factor=2)
    calls = [[torch.randn(1, 2, *size)] for size in SIZES]
    model = check(Resize(double), *calls, rtol=0, dynamic=IMAGE)
    assert "Resize" in [node.op_type for node in model.graph]
    model = check(Resize(functools.partial(F.interpolate, size=(80, 62))), calls[0], rtol=0)
    assert "Resize" in [node.op_type for node in model.graph]

"""A module whose Python code branches on sizes is told from its model."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

from sardonyx.frontends import from_torch

EVERYWHERE = {"x": {0: "b", 1: "t"}}


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        return self.function(x)


def parts(x, split):
    return torch.cat([part * i for i, part in enumerate(split(x))], 1)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x * 2 if x.shape[1] > 4 else x, "at b=2, t=2 .*other numbers.* where t > 4"),
        (lambda x: x + 1 if x.shape[0] != 3 else x, "at b=3, t=7 .*other numbers.* where b != 3"),
        (
            lambda x: x[:, : max(1, int(x.shape[1] / 2))],
            r"has shape \[2, 1\], and the model",
        ),
        (lambda x: x * 2 if x.shape[1] < 64 else x, "at b=2, t=64 .*other numbers.* where t < 64"),
        (lambda x: parts(x, lambda x: x.tensor_split(3, 1)), r"at b=2, t=3 .*where \(t % 3\) > 0"),
        (lambda x: parts(x, lambda x: x.split(4, 1)), r"at b=2, t=9 .* where .*// 4\) == 2"),
    ],
)
def test_a_branch_on_sizes_is_told(function, said):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from_torch(Function(function), torch.randn(2, 7), dynamic=EVERYWHERE)
    told = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert all(text.startswith("Function is not its model everywhere: at ") for text in told)
    assert any(re.search(said, text) for text in told)
    assert caught[0].filename == __file__


def counted(module):
    def forward(x):
        module.calls += 1
        return x * 2 if x.shape[1] > 4 else x + x

    return forward


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, : x.shape[1] // 2],  # guards on strides only
        lambda x: x * 2 if x.shape[1] > 4 else x + x,  # the branches are equal
        lambda x: x * 2 if x.shape[1] % 7 == 0 else x[:, 99],  # the module fails there
        lambda x: parts(x, lambda x: x.chunk(3, 1)),  # the model fails there
        lambda x: x + torch.rand(()) * (1 if x.shape[1] > 4 else 9),  # it is never the same
    ],
)
def test_what_makes_no_difference_is_not(function):
    torch.manual_seed(0)  # two random numbers may be as good as equal
    from_torch(Function(function), torch.randn(2, 7), dynamic=EVERYWHERE)


def test_buffers_are_left_as_they_are():
    module = Function(lambda x: x)
    module.function = counted(module)
    before = module.calls
    from_torch(module, torch.randn(2, 7), dynamic=EVERYWHERE)
    assert module.calls is before
    assert before.item() == 0


def test_sizes_that_do_not_vary_are_not_tried():
    from_torch(Function(lambda x: x * 2 if x.shape[1] > 4 else x), torch.randn(2, 7))
    only = {"x": {0: "b"}}
    from_torch(Function(lambda x: x * 2 if x.shape[1] > 4 else x), torch.randn(2, 7), dynamic=only)

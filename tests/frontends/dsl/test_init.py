"""Initialisers draw what PyTorch's of the same name draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import init

from sardonyx.frontends import dsl

SHAPES = [(300, 200), (60, 40, 3, 5), (40, 60, 4), (7, 9, 6, 5, 4)]


def kept(function, *args, **named):
    """A function of a shape that fills a torch tensor of it."""

    def draw(shape):
        tensor = torch.empty(shape)
        function(tensor, *args, **named)
        return tensor.numpy()

    return draw


SAME = {
    "constant": (dsl.init.constant(0.3), kept(init.constant_, 0.3)),
    "zeros": (dsl.init.zeros, kept(init.zeros_)),
    "ones": (dsl.init.ones, kept(init.ones_)),
    "uniform": (dsl.init.uniform(-2, 1), kept(init.uniform_, -2, 1)),
    "normal": (dsl.init.normal(0.3, 1), kept(init.normal_, 1, 0.3)),
    "truncated_normal": (
        dsl.init.truncated_normal(0.5, 1),
        kept(init.trunc_normal_, 1, 0.5, 0, 2),
    ),
    "truncated_normal_limits": (
        dsl.init.truncated_normal(1, 0, -0.5, 3),
        kept(init.trunc_normal_, 0, 1, -0.5, 3),
    ),
    "glorot_uniform": (dsl.init.glorot_uniform(), kept(init.xavier_uniform_)),
    "glorot_uniform_gain": (dsl.init.glorot_uniform(3), kept(init.xavier_uniform_, 3)),
    "glorot_normal": (dsl.init.glorot_normal(), kept(init.xavier_normal_)),
    "he_uniform": (dsl.init.he_uniform(), kept(init.kaiming_uniform_, nonlinearity="relu")),
    "he_uniform_out": (
        dsl.init.he_uniform(fan="out"),
        kept(init.kaiming_uniform_, mode="fan_out", nonlinearity="relu"),
    ),
    "he_uniform_leaky": (
        dsl.init.he_uniform(math.sqrt(2 / (1 + 5))),
        kept(init.kaiming_uniform_, math.sqrt(5)),
    ),
    "he_normal": (dsl.init.he_normal(), kept(init.kaiming_normal_, nonlinearity="relu")),
    "he_normal_out": (
        dsl.init.he_normal(1.0, "out"),
        kept(init.kaiming_normal_, mode="fan_out", nonlinearity="linear"),
    ),
    "orthogonal": (dsl.init.orthogonal(2), kept(init.orthogonal_, 2)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SAME)
def test_the_distribution_is_that_of_pytorch(name, shape):
    """Mean, deviation, extremes and quantiles, of as many numbers as a weight of the shape has."""
    torch.manual_seed(0)
    ours, theirs = SAME[name]
    mine = ours(np.random.default_rng(0), shape)
    wanted = theirs(shape)
    assert mine.shape == wanted.shape
    deviation = max(float(wanted.std()), 1e-30)
    noise = 5 * deviation / math.sqrt(mine.size)
    assert mine.mean() == pytest.approx(wanted.mean(), abs=2 * noise + 1e-7)
    assert mine.std() == pytest.approx(wanted.std(), rel=0.03, abs=1e-7)
    # A quantile's own error: sqrt(q (1 - q) / n) over the density there.
    shares = np.linspace(0.05, 0.95, 19)
    gap = np.abs(np.quantile(mine, shares) - np.quantile(wanted, shares))
    assert gap.max() <= 4 * noise + 1e-7
    has_limits = name not in ("normal", "glorot_normal", "he_normal", "he_normal_out", "orthogonal")
    if has_limits:
        assert np.abs(mine).max() == pytest.approx(np.abs(wanted).max(), rel=0.1)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3), (9, 2, 2)])
def test_orthogonal(shape):
    matrix = dsl.init.orthogonal(3)(np.random.default_rng(1), shape).reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 9 * np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize(("share", "rows"), [(0.9, 50), (0.33, 10), (0, 4), (1, 4)])
def test_sparse(share, rows):
    data = dsl.init.sparse(share, 0.5)(np.random.default_rng(1), (rows, 4000))
    tensor = torch.empty(rows, 4)
    init.sparse_(tensor, share)
    zeros = int((tensor == 0).sum(0)[0])
    assert ((data == 0).sum(0) == zeros).all()
    if zeros < rows:
        assert data[data != 0].std() == pytest.approx(0.5, rel=0.05)
        # Every row loses as often as any other.
        share_lost = (data == 0).mean(1)
        np.testing.assert_allclose(share_lost, zeros / rows, atol=0.04)


def test_truncated_normal_stays_within_its_limits():
    data = dsl.init.truncated_normal(1.0, 0.0, 1.0, 1.5)(np.random.default_rng(0), (100, 100))
    assert data.min() >= 1.0
    assert data.max() <= 1.5
    assert len(np.unique(data)) > 9000


def test_fans_count_the_kernel():
    assert dsl.init.fans((200, 400, 3, 3)) == (3600, 1800)
    assert dsl.init.fans((5, 7)) == (7, 5)
    assert dsl.init.fans((5,)) == (5, 5)
    assert dsl.init.fans((0, 3)) == (3, 1)


@pytest.mark.parametrize("name", SAME)
def test_a_seed_gives_the_same_numbers_again(name):
    def numbers(seed):
        net = dsl.model(x=dsl.f32["n", 6])(lambda x: dsl.linear(x, 4, init=SAME[name][0]))
        return net.build(seed=seed).parameters()["linear.weight"].numpy()

    np.testing.assert_array_equal(numbers(1), numbers(1))
    is_constant = name in ("constant", "zeros", "ones")
    assert np.array_equal(numbers(1), numbers(2)) == is_constant


def test_an_initialiser_of_your_own_is_checked_at_the_line_of_its_parameter():
    net = dsl.model(x=dsl.f32["n", 6])(lambda x: dsl.linear(x, 4, init=lambda rng, shape: 0.0))
    with pytest.raises(dsl.DslError, match=r"'linear.weight' returns another shape") as caught:
        net.parameters()["linear.weight"].numpy()
    assert caught.value.found == "[]"
    assert caught.value.expected == "[4, 6]"
    assert "test_init.py" in caught.value.where

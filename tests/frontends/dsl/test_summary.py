"""The table of a model, and its evaluation by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from examples import dsl_lenet
from sardonyx.frontends import dsl

LENET = """\
==========================================================
Layer       Output shape         Parameters  Multiply-adds
==========================================================
lenet       [batch, 10]              61,706        416,520
├─conv      [batch, 6, 28, 28]          156        117,600
├─Relu      [batch, 6, 28, 28]           --             --
├─MaxPool   [batch, 6, 14, 14]           --             --
├─conv_1    [batch, 16, 10, 10]       2,416        240,000
├─Relu      [batch, 16, 10, 10]          --             --
├─MaxPool   [batch, 16, 5, 5]            --             --
├─Flatten   [batch, 400]                 --             --
├─linear    [batch, 120]             48,120         48,000
├─Relu      [batch, 120]                 --             --
├─linear_1  [batch, 84]              10,164         10,080
├─Relu      [batch, 84]                  --             --
└─linear_2  [batch, 10]                 850            840
==========================================================
Parameters: 61,706
Trainable parameters: 61,706
Other parameters: 0
Multiply-adds (millions): 0.42 (at batch = 1)
==========================================================
Inputs (MB): 0.00 (at batch = 1)
Activations (MB): 0.06 (at batch = 1)
Parameters (MB): 0.25
Total (MB): 0.31 (at batch = 1)
=========================================================="""


def test_the_table_of_lenet():
    assert str(dsl_lenet.lenet.summary()) == LENET


def test_multiply_adds_of_a_batch():
    small, large = dsl_lenet.lenet.summary(), dsl_lenet.lenet.summary(batch=7)
    assert large.multiply_adds == 7 * small.multiply_adds
    assert large.activation_bytes == 7 * small.activation_bytes
    assert large.input_bytes == 7 * 28 * 28 * 4
    assert large.symbols == ()
    assert large.rows[1].shape == "[7, 6, 28, 28]"
    assert "(at" not in str(large)


@dsl.model(x=dsl.f32["n", "t", 8])
def encoder(x):
    for i in range(2):
        with dsl.scope(f"encoder.layer_{i}"):
            x = x + dsl.multi_head_attention(dsl.layer_norm(x), heads=2)
    return dsl.linear(x, 3)


def test_scopes_are_rows_and_hold_what_is_in_them():
    rows = encoder.summary().rows
    assert [(r.depth, r.name) for r in rows] == [
        (0, "encoder"),
        (1, "encoder"),
        (2, "layer_0"),
        (3, "layer_norm"),
        (3, "attention"),
        (3, "Add"),
        (2, "layer_1"),
        (3, "layer_norm"),
        (3, "attention"),
        (3, "Add"),
        (1, "linear"),
    ]
    by_name = {(r.depth, r.name): r for r in rows}
    twin = nn.MultiheadAttention(8, 2)
    held = sum(p.numel() for p in twin.parameters())
    assert by_name[3, "attention"].parameters == held
    assert by_name[2, "layer_1"].parameters == held + 16
    assert by_name[1, "encoder"].parameters == 2 * (held + 16)
    assert rows[0].parameters == 2 * (held + 16) + 27
    # Four projections of 8 x 8, and two products over one key.
    assert by_name[3, "attention"].multiply_adds == 4 * 64 + 2 * 8
    assert rows[0].multiply_adds == 2 * (4 * 64 + 2 * 8) + 24


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4])
def test_deeper_scopes_are_counted_in_their_parents(depth):
    summary = encoder.summary(depth)
    assert max(r.depth for r in summary.rows) == depth
    assert summary.rows[0].parameters == encoder.summary().parameters
    assert summary.rows[0].multiply_adds == encoder.summary().multiply_adds
    inner = [r for r in summary.rows if r.depth == 1]
    if depth:
        assert sum(r.parameters for r in inner) == summary.parameters


def test_lines_of_the_tree():
    lines = str(encoder.summary(2)).splitlines()
    assert [line.split("  ")[0] for line in lines[3:8]] == [
        "encoder",
        "├─encoder",
        "│ ├─layer_0",
        "│ └─layer_1",
        "└─linear",
    ]


def test_statistics_are_no_trainable_parameters():
    net = dsl.model(x=dsl.f32["n", 5, 4])(dsl.batch_norm)
    summary = net.summary()
    twin = nn.BatchNorm1d(5)
    assert summary.trainable == sum(p.numel() for p in twin.parameters())
    assert summary.parameters - summary.trainable == 10
    assert summary.parameter_bytes == 80


def test_multiply_adds_follow_the_windows():
    net = dsl.model(x=dsl.f32[1, 4, 9, 9])(lambda x: dsl.conv(x, 8, 3, 2, groups=2))
    assert net.summary().multiply_adds == 8 * 4 * 4 * 2 * 9
    net = dsl.model(x=dsl.f32[2, 4, 5])(lambda x: dsl.conv_transpose(x, 6, 3))
    assert net.summary().multiply_adds == 2 * 4 * 5 * 6 * 3


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: encoder.summary(-1), "A table has a depth of 0 or more."),
        (lambda: encoder.summary(length=3), "No input has a size named 'length'."),
        (lambda: encoder.summary(n=-3), "The size 'n' is no number."),
        (lambda: encoder.run(*()), "The arrays are not those that the model takes."),
        (
            lambda: encoder.run(np.zeros((1, 2, 8), np.float32), x=1),
            "The arrays are not those that the model takes.",
        ),
        (lambda: encoder.run(np.zeros((1, 2, 8))), "The array for 'x' does not fit."),
        (lambda: encoder.run(np.zeros((1, 8), np.float32)), "The array for 'x' does not fit."),
        (lambda: encoder.run(np.zeros((1, 2, 9), np.float32)), "The array for 'x' does not fit."),
        (lambda: PAIR.run(*(np.zeros((n, 2), np.float32) for n in (1, 3))), "The size 'n' is not"),
        (lambda: FAST.run(np.zeros(2, np.float32)), "The reference evaluator of the onnx package"),
    ],
)
def test_mistakes(call, what):
    with pytest.raises(dsl.DslError) as caught:
        call()
    error = caught.value
    assert error.what.startswith(what)
    assert "test_summary.py" in error.where
    assert error.found
    assert error.expected


PAIR = dsl.model(x=dsl.f32["n", 2], y=dsl.f32["n", 2])(lambda x, y: (x + y, x * y))
FAST = dsl.model(x=dsl.f32["n"])(lambda x: dsl.contrib.FastGelu(x) + 0)


def test_run_computes_by_numpy():
    x, y = np.random.default_rng(0).standard_normal((2, 3, 2)).astype(np.float32)
    total, product = PAIR.run(x, y=y)
    np.testing.assert_array_equal(total, x + y)
    np.testing.assert_array_equal(product, x * y)
    twin = nn.Linear(8, 3)
    net = dsl.model(x=dsl.f32["n", 8])(lambda x: dsl.linear(x, 3))
    net.load({f"linear.{k}": v for k, v in twin.state_dict().items()})
    x = torch.randn(4, 8)
    np.testing.assert_allclose(net.run(x.numpy())[0], twin(x).detach(), rtol=1e-5, atol=1e-6)

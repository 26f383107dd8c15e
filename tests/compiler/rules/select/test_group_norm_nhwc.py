"""Group norm of images with channels last."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx.inliner
import onnx_ir as ir
import pytest

from sardonyx.compiler.contrib import add_function_bodies
from sardonyx.compiler.rules.select.group_norm_nhwc import GROUP_NORM_NHWC as RULE
from tests.support.models import clone, model, normal, positive, random_feeds
from tests.support.rules import apply, check_miss, counts
from tests.support.run import run_ort

# Means over up to 60 elements, in another order.
CLOSE = {"atol": 4e-6, "rtol": 4e-6}
SIZES = [{"n": 2, "h": 3, "w": 5}, {"n": 1, "h": 1, "w": 2}]
SILU = "s = Sigmoid(n0) y = Mul(n0, s)"


def net(after="y = Neg(n0)", shape="n,12,h,w", groups=3, dtype="float", channels=12, **more):
    text = f"""g ({dtype}[{shape}] x) => ({dtype}[{shape}] y) {{
        n0 = GroupNormalization<num_groups={groups}, epsilon=0.01>(x, scale, bias) {after} }}"""
    return model(text, **({"scale": positive(channels), "bias": normal(channels)} | more))


def check(given, expected):
    """The CPU has no kernel: the body stands for it."""
    after = clone(given)
    apply(RULE, after)
    assert counts(after) == {"GroupNorm": 1, "Transpose": 2, **expected}
    add_function_bodies(after)
    inlined = ir.from_proto(onnx.inliner.inline_local_functions(ir.to_proto(after)))
    for sizes in SIZES:
        feeds = random_feeds(given, sizes)
        for a, b in zip(run_ort(given, feeds), run_ort(inlined, feeds), strict=True):
            np.testing.assert_allclose(b, a, **CLOSE)


def test_alone_and_with_silu():
    check(net(), {"Neg": 1})
    check(net(SILU), {})
    check(net("s = Sigmoid(n0) y = Mul(s, n0)", groups=6), {})


def test_the_largest_group_that_the_kernel_takes():
    check(net(shape="n,1024,h,w", groups=2, channels=1024), {"Neg": 1})


def test_silu_is_waited_for():
    given = net(SILU)
    said = []

    def guard(m):
        said.append(RULE.guard(m))
        return said[-1]

    apply(dataclasses.replace(RULE, guard=guard), given)
    assert counts(given) == {"GroupNorm": 1, "Transpose": 2}
    assert [str(verdict) for verdict in said] == ["its SiLU goes into the kernel as well", "True"]


def test_silu_whose_sigmoid_others_read():
    given = net("s = Sigmoid(n0) m = Mul(n0, s) y = Add(m, s)")
    check(given, {"Sigmoid": 1, "Mul": 1, "Add": 1})


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ("a = Mul(n0, n0) s = Sigmoid(n0) b = Mul(n0, s) y = Add(a, b)", {"Sigmoid": 1, "Mul": 2}),
        ("a = Relu(n0) b = Neg(n0) y = Add(a, b)", {"Relu": 1, "Neg": 1}),
    ],
)
def test_a_norm_that_others_read(after, left):
    check(net(after), {**left, "Add": 1})


@pytest.mark.parametrize("read", ["n0", "s"])
def test_silu_of_which_a_part_is_an_output(read):
    given = net(SILU)
    (value,) = (v for node in given.graph for v in node.outputs if v.name == read)
    value.shape, value.type = given.graph.inputs[0].shape, given.graph.inputs[0].type
    given.graph.outputs.append(value)
    check(given, {"Sigmoid": 1, "Mul": 1})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            net(
                dtype="double",
                scale=positive(12, dtype="float64"),
                bias=normal(12, dtype="float64"),
            ),
            "the kernel is for float32 and float16",
        ),
        (net(shape="n,c,h,w"), "it is not known to be a batch of images"),
        (net(shape="n,12,h"), "it is not known to be a batch of images"),
        (net(groups=4), "the kernel takes pairs of channels, a group has 3"),
        (net(groups=12), "the kernel takes pairs of channels, a group has 1"),
        (
            net(shape="n,1028,h,w", groups=2, channels=1028),
            "the kernel takes 512 channels of a group at most, this has 514",
        ),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(RULE, given, reason)


def test_a_value_of_unknown_rank_stays():
    given = net()
    given.graph.inputs[0].shape = None
    check_miss(RULE, given, "it is not known to be a batch of images")

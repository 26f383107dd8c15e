"""Group norms as instance norms of folded channels."""

from __future__ import annotations

import numpy as np
import pytest

from sardonyx.compiler.rules.norm.group_norm import GROUP_NORM
from tests.support.models import model, normal, positive
from tests.support.rules import check_miss, check_rule, check_shared

# Means over up to 84 elements, in another order.
CLOSE = {"atol": 4e-6, "rtol": 4e-6}
SIZES = [{"b": 2, "h": 4, "w": 5}, {"b": 1, "h": 1, "w": 2}]
WEIGHTS = {
    "s": positive(3),
    "t": normal(3),
    "fold": np.int64([0, 3, -1]),
    "fold_apart": np.int64([0, -1, 24]),
    "fold_batch": np.int64([-1, 3, 24]),
    "fold_all": np.int64([0, 3, 2, -1]),
    "image": np.int64([0, 6, 3, 4]),
    "other": np.int64([0, 4, 3, 6]),
}
NORM = "InstanceNormalization<epsilon=0.01>(f, s, t)"


def net(shape="b,6,3,4", fold="fold", back="y = Reshape(n, image)", result=None, dtype="float"):
    text = f"""g ({dtype}[{shape}] x) => ({dtype}[{result or shape}] y) {{
        f = Reshape(x, {fold}) n = {NORM} {back} }}"""
    return model(text, **WEIGHTS)


GROUP = {"GroupNormalization": 1}
COMPUTED = "p = Shape(x) y = Reshape(n, p)"


@pytest.mark.parametrize(
    "given",
    [
        net(),
        net("2,6,3,4", "fold_batch"),
        net("b,6,h,w", back=COMPUTED),
        net("b,6,h,7", back=COMPUTED),
        net("b,6,h", back=COMPUTED),
    ],
)
def test_is_one_operator(given):
    check_rule(GROUP_NORM, given, GROUP, dims=SIZES, **CLOSE)


def test_shared_operands():
    check_shared(GROUP_NORM, net(), dims=SIZES, **CLOSE)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (net("b,c,3,4", back=COMPUTED), "it is not known to be a batch of channels"),
        (net("b,6", back=COMPUTED), "it is not known to be a batch of channels"),
        (net(fold="fold_all", back=COMPUTED), "the channels are not folded into groups"),
        (net("b,6,h,w", "fold_apart", COMPUTED), "the channels are not folded into groups"),
        (net("b,4,3,6", back=COMPUTED), "4 channels are no 3 groups"),
        (net("3,6,4,4", "fold_batch", back=COMPUTED), "the batch is not known to stay what it is"),
        (
            net(back="y = Reshape(n, other)", result="b,4,3,6"),
            "the result is not known to have the shape of the input",
        ),
        (
            net("1,6,3,4", back="p = Shape<start=1>(x) y = Reshape(n, p)", result="6,3,4"),
            "the result is not known to have the shape of the input",
        ),
    ],
)
def test_refuses_with_a_reason(given, reason):
    check_miss(GROUP_NORM, given, reason)

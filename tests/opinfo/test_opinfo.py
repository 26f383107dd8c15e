"""PyTorch's own operator samples are right through Sardonyx, but for the listed ones."""

from __future__ import annotations

import pytest

from tests.opinfo.cases import operators
from tests.opinfo.expected import LIST, complaints, read_list
from tests.opinfo.judge import OUTSIDE, RIGHT, judge_all

# Of every kind of operator some, and some that are listed.
SPREAD = (
    *("addmm", "amax", "argmax", "bernoulli", "bucketize", "cumprod", "einsum", "fft.rfft"),
    *("gather", "hstack", "index_put", "linalg.inv", "linalg.svd", "masked_select"),
    *("nn.functional.avg_pool2d", "nn.functional.batch_norm", "nn.functional.conv2d"),
    *("nn.functional.embedding_bag", "nn.functional.scaled_dot_product_attention"),
    *("scatter_reduce.mean", "special.i1", "std", "to_sparse", "topk", "unique", "where"),
)


def test_a_spread_of_operators():
    verdicts = judge_all(SPREAD)
    assert list(verdicts) == list(SPREAD)
    found = complaints(verdicts, read_list(LIST.read_text()))
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_all_operators():
    names = list(operators())
    expected = read_list(LIST.read_text())
    assert expected.keys() <= set(names)
    verdicts = judge_all(names)
    found = complaints(verdicts, expected)
    assert not found, "\n".join(found)
    inside = [verdict for verdict in verdicts.values() if verdict.category != OUTSIDE]
    right = sum(verdict.category == RIGHT for verdict in inside)
    assert right >= 0.8 * len(inside)

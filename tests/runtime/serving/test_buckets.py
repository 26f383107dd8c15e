"""Padding that changes results is refused; what is left gives the answers of the session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sardonyx import runtime
from tests.runtime.models import model

# A masked mean over a sequence, and each place of it times its mask.
MASKED = """g (float[batch, seq, 2] x, float[batch, seq] mask)
    => (float[batch, seq, 2] y, float[batch, 2] z) {
      last = Constant<value_ints = [2]>() axis = Constant<value_ints = [1]>()
      m = Unsqueeze(mask, last) y = Mul(x, m)
      s = ReduceSum<keepdims=0>(y, axis) n = ReduceSum<keepdims=0>(m, axis) z = Div(s, n) }"""
UNMASKED = """g (float[batch, seq] x) => (float[batch, seq] y)
    { y = Softmax<axis=1>(x) }"""
SHIFTED = "g (float[seq] x) => (float[seq] y, float[seq] s) { y = Neg(x) s = Exp(x) }"
OTHER = "g (float[seq] x) => (float[places] y) { y = Neg(x) }"
SIZES = {"batch": [1, 2, 4], "seq": [4, 8]}


def request(rows, length, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.integers(-9, 9, (rows, length, 2)).astype(np.float32),
        "mask": np.ones((rows, length), np.float32),
    }


@pytest.fixture
def session():
    return runtime.load(model(MASKED), threads=1)


@pytest.fixture
def seen(session, monkeypatch):
    """Shapes of ``x`` that the session runs."""
    shapes, real = [], session.run_named

    def run(feed, outputs=None):
        shapes.append(feed["x"].shape[:2])
        return real(feed, outputs)

    monkeypatch.setattr(session, "run_named", run)
    return shapes


def test_inputs_are_padded_and_outputs_cut(session, seen):
    buckets = runtime.Buckets(session, SIZES, samples=[request(1, 3), request(3, 7)])
    assert buckets.largest_difference == 0
    assert buckets.inputs == session.inputs
    for rows in (1, 2, 3, 4):
        for length in range(1, 9):
            given = request(rows, length, seed=length)
            expected = session(**given)
            seen.clear()
            answer = buckets(**given)
            assert seen == [(1 << (rows - 1).bit_length(), 4 if length < 5 else 8)]
            for y, z in zip(answer, expected, strict=True):
                np.testing.assert_array_equal(y, z)
            named = buckets.run_named(given, ["z"])
            assert list(named) == ["z"]


def test_every_bucket_is_tried_on_every_sample(session, seen):
    runtime.Buckets(session, SIZES, samples=[request(1, 3), request(4, 8)])
    assert seen == [
        *[(1, 3), (2, 3), (4, 3), (1, 4), (1, 8), (4, 8)],
        *[(4, 8), (4, 8)],
    ]


def test_a_sequence_without_a_mask_is_refused():
    session = runtime.load(model(UNMASKED), threads=1)
    sample = {"x": np.float32([[1, 2, 3]])}
    with pytest.raises(runtime.BatchError) as caught:
        runtime.Buckets(session, {"seq": [4]}, samples=[sample], rtol=1e-3)
    assert caught.value.what == "padding changes output 'y'"
    assert caught.value.found.endswith("apart with seq 3 padded to 4")
    assert caught.value.expected == "rtol=0.001, atol=0"
    assert "mask" in caught.value.remedy
    runtime.Buckets(session, {"batch": [2]}, samples=[sample])
    fill = {"x": -np.inf}
    buckets = runtime.Buckets(session, {"seq": [4]}, samples=[sample], fill=fill, atol=1e-6)
    assert 0 <= buckets.largest_difference <= 1e-6
    np.testing.assert_allclose(buckets(sample["x"])[0], session(sample["x"])[0], atol=1e-6)


def test_bits_are_asked_for_by_default():
    """Nothing is near enough but the same."""
    session = runtime.load(model(UNMASKED), threads=1)
    fill = {"x": -12}
    sample = {"x": np.float32([[0.1, 0.2, 0.3]])}
    with pytest.raises(runtime.BatchError, match="padding changes output 'y'") as caught:
        runtime.Buckets(session, {"seq": [64]}, samples=[sample], fill=fill)
    assert caught.value.expected == "the same bits"
    buckets = runtime.Buckets(session, {"seq": [64]}, samples=[sample], fill=fill, atol=1e-3)
    assert 0 < buckets.largest_difference < 1e-3


def test_samples_must_show_padding(session):
    with pytest.raises(runtime.BatchError) as caught:
        runtime.Buckets(session, SIZES, samples=[request(4, 3)])
    assert caught.value.what == "no sample shows what padding of 'batch' does"
    with pytest.raises(runtime.BatchError, match="no sample shows"):
        runtime.Buckets(session, SIZES, samples=[])
    with pytest.raises(runtime.InputError):
        runtime.Buckets(session, SIZES, samples=[{"x": np.zeros(3)}])


def test_outputs_whose_size_changes_under_another_name():
    session = runtime.load(model(OTHER), threads=1)
    with pytest.raises(runtime.BatchError, match="padding changes the shape of output 'y'"):
        runtime.Buckets(session, {"seq": [4]}, samples=[{"x": np.ones(3, np.float32)}])


def test_wrong_arguments(session):
    samples = [request(1, 3)]
    with pytest.raises(runtime.SettingsError, match="no dynamic dimension 'time'") as caught:
        runtime.Buckets(session, {"time": [4]}, samples=samples)
    assert caught.value.expected == "batch, seq"
    for sizes in ({"seq": []}, {"seq": [0]}, {"seq": [4.0]}, {}):
        with pytest.raises(runtime.SettingsError):
            runtime.Buckets(session, sizes, samples=samples)
    with pytest.raises(runtime.SettingsError, match="no padded input 'w'"):
        runtime.Buckets(session, SIZES, samples=samples, fill={"w": 1})


def test_what_is_larger_than_every_bucket(session):
    buckets = runtime.Buckets(session, SIZES, samples=[request(1, 3)])
    with pytest.raises(runtime.InputError) as caught:
        buckets(**request(1, 9))
    assert str(caught.value) == (
        "dimension 'seq' is larger than the largest bucket\n  found: 9\n  expected: at most 8\n"
        "  try: call the session itself, or make buckets with larger sizes"
    )


@pytest.mark.parametrize("sizes", [SIZES, {"seq": [4, 8]}])
def test_a_batcher_joins_requests_of_different_lengths(sizes, session):
    buckets = runtime.Buckets(session, sizes, samples=[request(1, 3)])
    requests = [request(1 + n % 2, 1 + n % 8, n) for n in range(40)]
    with runtime.Batcher(buckets, max_batch=4) as batcher, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda given: batcher(**given), requests))
        figures = batcher.statistics()
    for given, answer in zip(requests, answers, strict=True):
        for y, expected in zip(answer, session(**given), strict=True):
            np.testing.assert_array_equal(y, expected)
    assert len(figures.pace_ms) == 2  # Two lengths are left.


def test_bound_buckets(session):
    """Memory is bound once for each bucket, and answers stay what they were."""
    buckets = runtime.Buckets(session, SIZES, samples=[request(1, 3)], bind=True)
    bound, real = [], session.bind
    session.bind = lambda *args, **named: bound.append(args[0].shape) or real(*args, **named)
    requests = [request(1 + n % 4, 1 + n % 8, n) for n in range(32)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda given: buckets(**given), requests))
    for given, answer in zip(requests, answers, strict=True):
        for y, expected in zip(answer, session(**given), strict=True):
            np.testing.assert_array_equal(y, expected)
    assert sorted(bound) == [(rows, n, 2) for rows in (1, 2, 4) for n in (4, 8)]
    assert list(buckets.run_named(requests[0], ["z"])) == ["z"]


@pytest.mark.gpu
@pytest.mark.parametrize("has_graphs", [False, True])
def test_bound_calls_of_each_bucket_on_a_device(has_graphs):
    text = "g (float[batch, seq] x) => (float[batch, seq] y) { r = Relu(x) y = Add(r, x) }"
    session = runtime.load(model(text), [("cuda", {"enable_cuda_graph": has_graphs})])
    sample = {"x": np.float32([[1, -2, 3]])}
    buckets = runtime.Buckets(session, SIZES, samples=[sample], bind=True)
    for n in range(1, 9):
        x = np.random.default_rng(n).standard_normal((1 + n % 4, n), np.float32)
        for _ in range(3):
            np.testing.assert_array_equal(buckets(x)[0], np.maximum(x, 0) + x)

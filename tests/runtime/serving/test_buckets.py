"""Padding that changes results is refused; what is left gives the answers of the session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import TensorProto

from sardonyx import runtime
from sardonyx.runtime.serving.arguments import MAX_BATCH
from tests.runtime.models import model, sequence, tensor, typed, unary

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
    session.bind = lambda *args, **named: bound.append(named["x"].shape) or real(*args, **named)
    requests = [request(1 + n % 4, 1 + n % 8, n) for n in range(32)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda given: buckets(**given), requests))
    for given, answer in zip(requests, answers, strict=True):
        for y, expected in zip(answer, session(**given), strict=True):
            np.testing.assert_array_equal(y, expected)
    assert sorted(bound) == [(rows, n, 2) for rows in (1, 2, 4) for n in (4, 8)]
    assert list(buckets.run_named(requests[0], ["z"])) == ["z"]


@pytest.mark.parametrize("bind", [False, True])
@pytest.mark.parametrize(("first", "second"), [(1, 5), (3, 2), (5, 2), (5, 1)])
def test_sizes_that_disagree_are_refused(first, second, bind):
    """Under a name that is no Python word, for which the session does not compare them."""
    values = [tensor(name, 1, ["b", "seq-len"]) for name in ("x", "x2", "y")]
    session = runtime.load(typed("Add", values[:2], values[2:]), threads=1)
    x, x2 = (np.ones((1, n), np.float32) for n in (first, second))
    sample = {"x": x, "x2": x}
    sizes = {"seq-len": [4, 8]}
    buckets = runtime.Buckets(session, sizes, samples=[sample], bind=bind)
    assert buckets(x, x)[0].tolist() == [[2.0] * first]
    with pytest.raises(runtime.InputError) as caught:
        buckets(x, x2)
    assert (caught.value.kind, caught.value.input) == ("dim", "x2")
    assert str(caught.value) == (
        "the inputs disagree on dimension 'seq-len'\n"
        f"  found: {first} in axis 1 of x, {second} in axis 1 of x2\n"
        "  expected: one size of 'seq-len', which is padded\n  try: call the session itself"
    )
    with runtime.Batcher(buckets) as batcher, pytest.raises(runtime.InputError, match="disagree"):
        batcher.submit(x, x2)
    with pytest.raises(runtime.InputError, match="disagree"):
        runtime.Buckets(session, sizes, samples=[{"x": x, "x2": x2}])


def test_batches_are_no_larger_than_the_largest_bucket(session, seen):
    buckets = runtime.Buckets(session, SIZES, samples=[request(1, 3)])
    assert buckets.max_rows == 4
    with runtime.Batcher(buckets) as batcher:
        assert batcher._line.max_batch == 4
    with pytest.raises(runtime.SettingsError) as caught:
        runtime.Batcher(buckets, max_batch=5)
    assert str(caught.value) == (
        "max_batch is more than the largest bucket\n  found: 5\n  expected: at most 4\n"
        "  try: make buckets with larger sizes"
    )
    with pytest.raises(runtime.SettingsError, match="max_batch is not valid"):
        runtime.Batcher(buckets, max_batch=0)


@pytest.mark.parametrize("sizes", [{"seq": [4, 8]}, {"batch": [64], "seq": [4, 8]}])
def test_batches_are_as_large_as_ever_where_buckets_allow(session, sizes):
    buckets = runtime.Buckets(session, sizes, samples=[request(1, 3)])
    assert buckets.max_rows == sizes.get("batch", [None])[0]
    with runtime.Batcher(buckets) as batcher:
        assert batcher._line.max_batch == MAX_BATCH
    with runtime.Batcher(buckets, max_batch=40) as batcher:
        assert batcher._line.max_batch == 40


DEFAULTS = """g (float[n, 2] x, float[2] b, float[2] self) => (float[n, 2] y)
    <float[2] b = {1, 1}, float[2] self = {0, 0}> { t = Mul(x, b) y = Add(t, self) }"""


@pytest.mark.parametrize("bind", [False, True])
def test_inputs_go_by_name(bind):
    """Those that have defaults may be given or not, each for itself, and be called anything."""
    session = runtime.load(model(DEFAULTS), threads=1)
    x, b, c = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([2, 3]), np.float32([10, 20])
    buckets = runtime.Buckets(session, {"n": [4]}, samples=[{"x": x}], bind=bind)
    for _ in range(2):
        np.testing.assert_array_equal(buckets(x)[0], x)
        np.testing.assert_array_equal(buckets(x, self=c)[0], x + c)
        np.testing.assert_array_equal(buckets(x, b)[0], x * b)
        np.testing.assert_array_equal(buckets(x, b, c)[0], x * b + c)
        b, c = b + 1, c + 1
    np.testing.assert_array_equal(buckets(x, self=c)[0], x + c)


@pytest.mark.parametrize("bind", [False, True])
def test_scalars_are_not_padded(bind):
    text = "g (float[n, 2] x, float s) => (float[n, 2] y) { y = Mul(x, s) }"
    session = runtime.load(model(text), threads=1)
    x = np.float32([[1, 2], [3, 4], [5, 6]])
    buckets = runtime.Buckets(session, {"n": [4]}, samples=[{"x": x, "s": 2.0}], bind=bind)
    for s in (2.0, 3.0):
        np.testing.assert_array_equal(buckets(x, s)[0], x * s)


def test_narrow_inputs_are_not_padded():
    narrow = pytest.importorskip("ml_dtypes").bfloat16
    text = """g (float[n, 2] x, bfloat16[2] w) => (float[n, 2] y)
        { f = Cast<to = 1>(w) y = Mul(x, f) }"""
    session = runtime.load(model(text), threads=1)
    x, w = np.float32([[1, 2], [3, 4], [5, 6]]), np.array([2, 3], narrow)
    samples = [{"x": x, "w": w}]
    buckets = runtime.Buckets(session, {"n": [4]}, samples=samples)
    np.testing.assert_array_equal(buckets(x, w)[0], x * w.astype(np.float32))
    with pytest.raises(runtime.InputError) as caught:
        runtime.Buckets(session, {"n": [4]}, samples=samples, bind=True)
    assert str(caught.value) == (
        "input 'w' cannot be bound\n  found: OrtValue tensor(bfloat16)\n"
        "  expected: an array in CPU memory\n  try: make buckets with bind=False"
    )


def test_sequences_of_outputs_are_refused():
    session = runtime.load(
        typed("SequenceConstruct", [tensor("x", 1, ["n", 2])], [sequence("y")]), threads=1
    )
    with pytest.raises(runtime.BatchError) as caught:
        runtime.Buckets(session, {"n": [4]}, samples=[{"x": np.ones((3, 2), np.float32)}])
    assert caught.value.what == "output 'y' cannot be cut"
    assert caught.value.expected == "tensors"


@pytest.mark.parametrize(
    ("dtype", "value", "found"),
    [
        (TensorProto.UINT8, -1, "int -1"),
        (TensorProto.UINT8, 300, "int 300"),
        (TensorProto.UINT8, 1.5, "float 1.5"),
        (TensorProto.UINT8, "a", "str 'a'"),
        (TensorProto.UINT8, None, "None"),
        (TensorProto.UINT8, [1, 2], "list [1, 2]"),
        (TensorProto.INT64, 2**64, f"int {2**64}"),
        (TensorProto.FLOAT, 1e300, "float 1e+300"),
        (TensorProto.STRING, 0, "int 0"),
    ],
)
def test_fill_that_does_not_fit(dtype, value, found):
    session = runtime.load(unary("Identity", dtype), threads=1)
    with pytest.raises(runtime.SettingsError) as caught:
        runtime.Buckets(session, {"n": [4]}, samples=[], fill={"x": value})
    assert caught.value.what == "input 'x' cannot be padded with this"
    assert caught.value.found == found
    assert caught.value.expected == f"a {session.inputs[0].dtype} that keeps its value"


@pytest.mark.parametrize(
    ("dtype", "value", "values"),
    [
        (TensorProto.UINT8, 255, [1, 2]),
        (TensorProto.INT64, np.int8(-1), [1, -2]),
        (TensorProto.FLOAT, np.array(-np.inf), [1.0, -2.0]),
        (TensorProto.FLOAT, float("nan"), [1.0, -2.0]),
        (TensorProto.BOOL, True, [False, True]),
        (TensorProto.STRING, "", ["q", "r"]),
    ],
)
def test_fill_that_fits(dtype, value, values):
    session = runtime.load(unary("Identity", dtype), threads=1)
    ran, real = [], session.run_named
    session.run_named = lambda feed, outputs=None: ran.append(feed["x"]) or real(feed, outputs)
    samples = [{"x": values[:1]}]
    buckets = runtime.Buckets(session, {"n": [4]}, samples=samples, fill={"x": value})
    assert buckets(values)[0].tolist() == values
    np.testing.assert_array_equal(ran[-1][2:], np.array([value] * 2).astype(ran[-1].dtype))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"sizes": {"seq": 4}},
            "the bucket sizes of 'seq' are not valid\n  found: 4\n"
            "  expected: whole numbers, 1 or more",
        ),
        (
            {"sizes": [4]},
            "sizes is not valid\n  found: list [4]\n  expected: a dictionary, by name",
        ),
        (
            {"samples": {"x": 1}},
            "samples is not valid\n  found: dict {'x': 1}\n  expected: a list\n"
            "  try: samples=[{name: value, ...}, ...]",
        ),
        (
            {"samples": 3},
            "samples is not valid\n  found: int 3\n  expected: a list\n"
            "  try: samples=[{name: value, ...}, ...]",
        ),
        (
            {"samples": ["x"]},
            "a sample is not valid\n  found: str 'x'\n  expected: a dictionary, by name",
        ),
        (
            {"fill": [1]},
            "fill is not valid\n  found: list [1]\n  expected: a dictionary, by name",
        ),
    ],
)
def test_arguments_of_wrong_types(session, wrong, text):
    with pytest.raises(runtime.SettingsError) as caught:
        runtime.Buckets(session, **{"sizes": SIZES, "samples": [request(1, 3)], **wrong})
    assert str(caught.value) == text


@pytest.mark.parametrize("bind", [False, True])
def test_outputs_that_there_are_not(session, bind):
    buckets = runtime.Buckets(session, SIZES, samples=[request(1, 3)], bind=bind)
    with pytest.raises(runtime.InputError) as caught:
        buckets.run_named(request(1, 3), ["z", "zz"])
    assert (caught.value.what, caught.value.kind) == ("the model has no output 'zz'", "unknown")


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

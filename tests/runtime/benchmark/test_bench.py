"""Benchmarks: what the figures are made of, and what contenders in their processes say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sardonyx.runtime import RunError, SettingsError
from sardonyx.runtime.benchmark import Benchmark, Contender, Loaded, Measurement, bench
from sardonyx.runtime.benchmark.bench import race
from sardonyx.runtime.benchmark.report import Round, measurement
from sardonyx.runtime.benchmark.worker import MOST_SENT, _spread_evenly
from tests.runtime.profiling.nets import save

normal = np.random.default_rng(7).standard_normal


def f32(*shape):
    return normal(shape).astype(np.float32)


@pytest.fixture
def net(tmp_path):
    return str(save(tmp_path / "net.onnx", "g (float[b,4] x) => (float[b,4] y) { y = Neg(x) }"))


def rounds(*medians_ms, calls=3, seconds=1.0):
    """Rounds with these medians, their calls a millisecond around them."""
    return [
        Round(calls, seconds, np.array([ms - 1, ms, ms + 1], np.float64) / 1e3) for ms in medians_ms
    ]


def test_figures_come_from_all_rounds():
    found = measurement("a", "case", 2, {"a": rounds(10, 20, 30, calls=40)}, rows=8)
    assert (found.contender, found.case, found.clients, found.calls) == ("a", "case", 2, 120)
    assert found.min_ms == pytest.approx(9)
    assert found.median_ms == pytest.approx(20)
    assert found.p90_ms == pytest.approx(30.2)
    assert found.spread == pytest.approx((30 - 10) / 20)
    assert found.calls_per_second == pytest.approx(40)
    assert found.rows_per_second == pytest.approx(320)
    assert (found.times, found.times_low, found.times_high) == (None, None, None)


def test_the_ratio_is_that_of_rounds_that_were_measured_together():
    """A machine that slows down for a while slows both: the medians of all would say 1.0."""
    found = measurement("b", "", 1, {"a": rounds(10, 100, 10), "b": rounds(5, 50, 20)}, None)
    assert found.times == pytest.approx(2)
    assert (found.times_low, found.times_high) == (pytest.approx(0.5), pytest.approx(2))
    assert found.rows_per_second is None


@pytest.mark.parametrize(
    ("calls", "known"), [(3, (False, False)), (10, (True, False)), (100, (True, True))]
)
def test_percentiles_of_too_few_calls_are_not_told(calls, known):
    found = measurement("a", "", 1, {"a": rounds(10, calls=calls)}, None)
    assert (found.p90_ms is not None, found.p99_ms is not None) == known


def test_contenders_take_turns():
    """Each round begins with another one, and all have the same time."""
    asked = []

    class Racer:
        def __init__(self, name):
            self.name = name

        def time(self, seconds, clients):
            asked.append((self.name, seconds, clients))
            return Round(1, seconds, np.array([1.0]))

    rounds = race({name: Racer(name) for name in "abc"}, clients=2, seconds=10)
    assert "".join(name for name, _, _ in asked) == "abcbcacababcbca"
    assert {(seconds, clients) for _, seconds, clients in asked} == {(2.0, 2)}
    assert {name: len(taken) for name, taken in rounds.items()} == {"a": 5, "b": 5, "c": 5}


def test_of_very_many_latencies_as_many_as_can_be_sent_are_kept():
    sent = _spread_evenly([list(range(30_000)), list(range(30_000, 60_000))])
    assert len(sent) == MOST_SENT
    assert sent[:2] == [0, 3]
    assert sent[-1] > 59_990
    assert len(_spread_evenly([list(range(50_000))])) <= MOST_SENT
    assert _spread_evenly([[1.0], [2.0]]) == [1.0, 2.0]


def test_a_model_is_measured_in_a_process_of_its_own(net):
    told = []
    cases = {"one": {"x": f32(1, 4)}, "many": {"x": f32(64, 4)}}
    found = bench(
        {"net": Contender(net, options={"threads": 1})},
        cases,
        clients=(1, 3),
        seconds=0.02,
        tell=told.append,
    )
    assert [(m.case, m.clients) for m in found.measurements] == [
        ("one", 1),
        ("one", 3),
        ("many", 1),
        ("many", 3),
    ]
    for one in found.measurements:
        assert 0 < one.min_ms <= one.median_ms
        assert one.calls >= 10 * one.clients
        rows = 1 if one.case == "one" else 64
        assert one.rows_per_second == pytest.approx(rows * one.calls_per_second)
    (loaded,) = found.contenders
    assert (loaded.providers, loaded.threads, loaded.difference) == (("cpu",), 1, 0.0)
    assert loaded.load_ms > 0
    assert 0 <= loaded.session_mb < loaded.peak_mb
    assert found.cases == {"one": {"x": "float32[1, 4]"}, "many": {"x": "float32[64, 4]"}}
    assert told == ["loading net"] + [
        f"measuring {case}, {clients}" for case in cases for clients in ("1 client", "3 clients")
    ]


def test_inputs_may_be_made_from_the_models(net):
    def cases(specs):
        (x,) = specs
        assert (x.name, x.shape, x.dtype) == ("x", ("b", 4), "float32")
        return {"": {x.name: f32(2, 4)}}

    (one,) = bench({"net": Contender(net)}, cases, seconds=0).measurements
    assert one.calls == 10


def test_contenders_are_compared_by_what_they_compute(tmp_path, net):
    text = "g (float[b,4] z) => (float[b,4] y) { n = Neg(z) y = Mul(n, s) }"
    near = save(tmp_path / "near.onnx", text, s=np.array(1.25, np.float32))
    other = save(
        tmp_path / "o.onnx",
        "g (float[b,4] x) => (float[b] y) { y = ReduceMax(x, a) }",
        a=np.array([1]),
    )
    x = np.array([[1, -4, 2, 0]], np.float32)
    found = bench(
        {
            "net": Contender(net),
            "same": Contender(net, is_plain=True),
            "near": Contender(str(near)),
            "other": Contender(str(other)),
        },
        {"": {"x": x}},
        seconds=0,
    )
    differences = {one.name: one.difference for one in found.contenders}
    assert differences == {"net": 0, "same": 0, "near": 0.25, "other": np.inf}
    assert [m.times is None for m in found.measurements] == [True, False, False, False]
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["contenders"][3]["difference"] == "inf"


def test_values_of_every_type_arrive(tmp_path):
    text = """g (string[n] s, bfloat16[n] h, bool[n] b) => (string[n] t, float[n] f, bool[n] c)
        { t = Identity(s) f = Cast<to=1>(h) c = Not(b) }"""
    import ml_dtypes

    feed = {
        "s": np.array(["a", "bc"], dtype=object),
        "h": np.array([1, 2], dtype=ml_dtypes.bfloat16),
        "b": np.array([True, False]),
    }
    net = str(save(tmp_path / "net.onnx", text))
    found = bench({"a": Contender(net), "b": Contender(net)}, {"": feed}, seconds=0)
    assert [one.difference for one in found.contenders] == [0, 0]


def test_what_a_process_says_is_raised(tmp_path, net):
    with pytest.raises(RunError, match="the model file does not exist"):
        bench({"gone": Contender(str(tmp_path / "gone.onnx"))}, {"": {}}, seconds=0)
    with pytest.raises(RunError, match="no provider 'nope'") as caught:
        bench({"net": Contender(net, ["nope"])}, {"": {"x": f32(1, 4)}}, seconds=0)
    assert caught.value.expected
    with pytest.raises(RunError, match="wrong"):
        bench({"net": Contender(net)}, {"": {"x": f32(1, 3)}}, seconds=0, clients=[2])


@pytest.mark.parametrize(
    ("name", "value"),
    [("clients", [0]), ("clients", []), ("seconds", -1), ("seconds", np.inf), ("warm_up", -1)],
)
def test_numbers_that_make_no_sense_are_refused(net, name, value):
    with pytest.raises(SettingsError) as caught:
        bench({"net": Contender(net)}, {"": {"x": f32(1, 4)}}, **{name: value})
    assert caught.value.what == f"{name} is not valid"
    with pytest.raises(SettingsError, match="no contender"):
        bench({}, {})


def test_the_text_says_machine_versions_threads_and_providers():
    figures = {"calls": 1000, "spread": 0.02, "min_ms": 1.0, "p90_ms": 2.5, "p99_ms": None}
    best = {"times": 2.0, "times_low": 1.5, "times_high": 2.25}
    none = dict.fromkeys(best)
    found = Benchmark(
        machine={
            "cpu": "x86_64, linux, Fast CPU",
            "cores": 4,
            "quota": 2.0,
            "versions": {"onnxruntime": "1.31.1", "sardonyx": "0.1.0"},
        },
        busy=3.0,
        cases={"b=1": {"x": "float32[1, 4]"}},
        contenders=(
            Loaded("a", "a.onnx", ("cpu",), 2, 12.0, 3.0, 40.0, 90.0, 0.0),
            Loaded("b", "b.onnx", ("cuda", "cpu"), None, 12.0, 3.0, 40.0, 90.0, 1e-7),
        ),
        measurements=(
            Measurement("a", "b=1", 1, median_ms=2.0, calls_per_second=500.0,
                        rows_per_second=500.0, **figures, **none),
            Measurement("b", "b=1", 1, median_ms=1.0, calls_per_second=1000.0,
                        rows_per_second=1000.0, **figures, **best),
        ),
    )  # fmt: skip
    assert str(found) == (
        "Fast CPU, 4 cores within a quota of 2; onnxruntime 1.31.1, sardonyx 0.1.0\n"
        "b=1: x float32[1, 4]\n"
        "the machine was busy (load 3.0): figures may be far off\n"
        "\n"
        "case  clients  model  calls  min ms  median  p90  p99  spread %  calls/s  rows/s  times"
        "  from, to\n"
        "b=1         1  a       1000       1       2  2.5              2      500     500\n"
        "b=1         1  b       1000       1       1  2.5              2    1,000   1,000      2"
        "  1.5, 2.25\n"
        "\n"
        "model  providers  threads  load ms  first call ms  session MB  peak MB  difference\n"
        "a      cpu              2       12              3          40       90  0.0e+00\n"
        "b      cuda, cpu                12              3          40       90  1.0e-07"
    )

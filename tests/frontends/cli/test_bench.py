"""`sardonyx bench`: what it measures, what it prints, in both forms, and what it refuses."""

from __future__ import annotations

import numpy as np

from tests.support.models import normal


def test_one_model(sardonyx, net, tmp_path):
    np.save(tmp_path / "x.npy", normal(3, 4))
    said = sardonyx.json("bench", net, "--seconds", 0.1, "-i", f"x={tmp_path}/x.npy")
    assert list(said) == ["machine", "busy", "cases", "contenders", "measurements"]
    assert said["cases"] == {"": {"x": "float32[3, 4]"}}
    (loaded,), (one,) = said["contenders"], said["measurements"]
    assert set(loaded) == {
        "name", "model", "providers", "threads", "load_ms", "first_call_ms", "session_mb",
        "peak_mb", "difference",
    }  # fmt: skip
    assert set(one) == {
        "contender", "case", "clients", "calls", "min_ms", "median_ms", "p90_ms", "p99_ms",
        "spread", "calls_per_second", "rows_per_second", "times", "times_low", "times_high",
    }  # fmt: skip
    assert (loaded["name"], loaded["providers"], one["clients"]) == ("net.onnx", ["cpu"], 1)
    assert 0 < one["min_ms"] <= one["median_ms"] <= one["p90_ms"]
    assert {"cpu", "cores", "quota", "versions"} <= set(said["machine"])


def test_every_combination_of_sizes_and_clients(sardonyx, net):
    said = sardonyx.json("bench", net, "--dim", "batch=1,8", "--clients", "1,2", "--seconds", 0)
    found = [(one["case"], one["clients"]) for one in said["measurements"]]
    assert found == [("batch=1", 1), ("batch=1", 2), ("batch=8", 1), ("batch=8", 2)]
    assert said["cases"]["batch=8"] == {"x": "float32[8, 4]"}


def test_others_are_measured_beside_it(sardonyx, net, tmp_path):
    sardonyx.json("compile", net, "-o", tmp_path / "made.onnx")
    beside = ("--against", tmp_path / "made.onnx", "--against-ort", "--against-provider", "cpu")
    quick = ("--seconds", 0, "--warm-up", 0, "--threads", 1)
    said = sardonyx.json("bench", net, *beside, *quick)
    names = ["net.onnx", "made.onnx", "net.onnx on cpu", "net.onnx in plain onnxruntime"]
    assert [one["name"] for one in said["contenders"]] == names
    assert [one["contender"] for one in said["measurements"]] == names
    assert [one["threads"] for one in said["contenders"]] == [1, 1, 1, None]
    assert all(one["difference"] < 1e-6 for one in said["contenders"])


def test_the_text_names_machine_and_contenders(sardonyx, net):
    given = ("--against-provider", "cpu", "--against", net, "--seconds", 0)
    assert sardonyx("bench", net, *given) == 0
    for text in ("net.onnx on cpu", "median", "calls/s", "session MB", "cores", "onnxruntime 1."):
        assert text in sardonyx.out
    assert sardonyx.out.count("net.onnx on cpu") == 2
    assert sardonyx.out.count("net.onnx (2)") == 2


def test_a_python_source_is_compiled_first(sardonyx, tmp_path):
    source = tmp_path / "net.py"
    source.write_text(
        "from sardonyx.frontends import dsl\n"
        "@dsl.model(x=dsl.f32['b', 4])\n"
        "def net(x):\n"
        "    return dsl.softmax(x)\n",
        encoding="utf-8",
    )
    said = sardonyx.json("bench", f"{source}:net", "--dim", "b=3", "--seconds", 0)
    assert said["cases"] == {"b=3": {"x": "float32[3, 4]"}}


def test_what_cannot_be_measured_is_refused(sardonyx, net, tmp_path):
    said = sardonyx.refused("bench", net, "--clients", "0")
    assert "--clients is malformed." in said
    assert "numbers from 1 with commas between, for example 1,2,4" in said
    assert "--dim is malformed." in sardonyx.refused("bench", net, "--dim", "batch=1,")
    many = ",".join(map(str, range(1, 102)))
    assert "too many combinations" in sardonyx.refused("bench", net, "--dim", f"batch={many}")
    dims = [text for name in "abcdefgh" for text in ("--dim", f"{name}={many}")]
    assert "too many combinations" in sardonyx.refused("bench", net, *dims)
    assert "seconds is not valid" in sardonyx.refused("bench", net, "--seconds", "inf")
    assert sardonyx("bench", net, "--against", tmp_path / "none.onnx") == 2
    assert "error: the model file does not exist" in sardonyx.err
    assert sardonyx("bench", net, "--provider", "nope") == 2
    assert "error: there is no provider 'nope'" in sardonyx.err

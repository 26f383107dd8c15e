"""`sardonyx profile`: what it prints, in both forms, and what it refuses."""

from __future__ import annotations

import json

import pytest

from tests.frontends.cli.commands import write_model

QUICK = ("--runs", "2", "--warm-up", "0")


@pytest.fixture
def compiled(sardonyx, net, tmp_path):
    sardonyx.json("compile", net, "-o", tmp_path / "made.onnx")
    return tmp_path / "made.onnx"


def test_it_says_where_the_time_goes(sardonyx, net):
    assert sardonyx("profile", net, *QUICK, "--threads", "1", "--dim", "batch=3") == 0
    summary, _, table = sardonyx.out.partition("\n\n")
    assert "x: float32[3, 4]" in summary
    assert "2 runs; 1 thread, cpu, onnxruntime" in summary
    assert table.split()[:4] == ["operator", "nodes", "ms", "%"]
    assert "MatMul" in table
    assert "(between nodes)" in table.splitlines()[-1]


def test_json_is_what_the_profile_says(sardonyx, net):
    said = sardonyx.json("profile", net, *QUICK)
    assert said["runs"] == 2
    assert {"MatMul", "Relu"} <= set(said["operators"])
    whole = sum(node["ms"] for node in said["nodes"]) + said["framework_ms"]
    assert whole == pytest.approx(said["ms"])


@pytest.mark.parametrize(("by", "first"), [("node", "n"), ("operator", "MatMul"), ("module", "(")])
def test_the_table_is_the_one_asked_for(sardonyx, net, by, first):
    assert sardonyx("profile", net, *QUICK, "--by", by) == 0
    header = sardonyx.out.partition("\n\n")[2].split()
    assert header[0] == by
    assert first in sardonyx.out


def test_another_model_stands_beside_it(sardonyx, net, compiled):
    assert sardonyx("profile", net, "--against", compiled, *QUICK) == 0
    assert "before: " in sardonyx.out
    assert "times as fast without the profiler" in sardonyx.out
    said = sardonyx.json("profile", net, "--against", compiled, *QUICK)
    assert set(said) == {"before", "after", "speedup", "operators", "modules"}
    before, after = said["operators"].get("Neg", (0, 0))
    assert after == 0 <= before
    assert said["operators"]["MatMul"] == [
        sum(node["ms"] for node in said[side]["nodes"] if node["operator"] == "MatMul")
        for side in ("before", "after")
    ]


def test_the_trace_is_written(sardonyx, net, tmp_path):
    trace = tmp_path / "trace.json"
    assert sardonyx("profile", net, *QUICK, "--trace", trace) == 0
    assert any(event["name"] == "MatMul" for event in json.loads(trace.read_text("utf-8")))


def test_a_python_source_is_compiled_and_shows_its_lines(sardonyx, tmp_path):
    source = tmp_path / "net.py"
    source.write_text(
        "from sardonyx.frontends import dsl\n"
        "@dsl.model(x=dsl.f32['b', 4])\n"
        "def net(x):\n"
        "    return dsl.softmax(dsl.linear(x, 3))\n",
        encoding="utf-8",
    )
    assert sardonyx("profile", f"{source}:net", *QUICK) == 0
    assert "net.py:4" in sardonyx.out


def test_what_cannot_be_shown_is_refused(sardonyx, net, tmp_path):
    assert "--by is not one of the views" in sardonyx.refused("profile", net, "--by", "layer")
    other = write_model(tmp_path / "other.onnx", width=2)
    said = sardonyx.refused("profile", net, "--against", other, "--by", "node")
    assert "module, operator" in said
    said = sardonyx.refused("profile", net, *QUICK, "--trace", tmp_path / "no" / "trace.json")
    assert "What --trace names cannot be written." in said
    assert "does not exist" in sardonyx.refused("profile", tmp_path / "none.onnx")

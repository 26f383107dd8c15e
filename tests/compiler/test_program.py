"""Programs: what compilation gives to its user."""

from __future__ import annotations

import dataclasses
import json

import onnx
import pytest

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.export.manifest import MANIFEST
from sardonyx.compiler.passes.manager import PassRecord
from sardonyx.compiler.program import Program, Report
from sardonyx.compiler.targets import find_target
from tests.support.models import model, normal

REPORT = Report(
    (
        PassRecord("canonicalize", 0.0021, 9, 4, {"identity": 2, "cast": 1}),
        PassRecord("fuse", 0.0004, 4, 2, {"conv_relu": 1}),
        PassRecord("canonicalize", 0.0001, 2, 2),
    ),
    0.25,
    9,
)


def program(opset: int | None = None, target: str = "cpu") -> Program:
    core = model(
        "g (float[b,3] x, float[3] d) => (float[b,32] y) { m = MatMul(x, w) y = Relu(m) }",
        w=normal(3, 32),
        d=normal(3),
    )
    core.producer_name, core.producer_version = "pytorch", "2.13"
    core.metadata_props["sardonyx.stage"] = "core"
    return Program.legalised(core, find_target(target), opset, REPORT)


def test_a_program_says_what_it_is():
    assert repr(program()) == ("Program((x) -> (y), target='cpu', opset=23, 9 -> 2 nodes)")
    assert repr(program(18, "portable")).endswith("target='portable', opset=18, 9 -> 2 nodes)")


def test_it_is_saved_and_turned_into_bytes_alike(tmp_path):
    made = program()
    path = made.save(tmp_path / "m.onnx")
    assert path.read_bytes() == made.to_bytes()
    onnx.checker.check_model(onnx.ModelProto.FromString(made.to_bytes()), full_check=True)
    made.save(tmp_path / "m.onnx", external_data=False)
    assert program().to_bytes() == made.to_bytes()


def test_it_carries_its_manifest():
    found = json.loads(program().metadata[MANIFEST])
    assert found["source"] == {
        "producer": "pytorch 2.13",
        "opset": {"": 23, "com.microsoft": 1},
        "nodes": 9,
    }
    assert found["pipeline"] == ["canonicalize", "fuse", "canonicalize"]
    assert found["rules"] == {"cast": 1, "conv_relu": 1, "identity": 2}
    assert "seconds" not in json.dumps(found)


def test_its_text_is_for_reading():
    text = program().text()
    assert 'float[3,32] w = ["elided": "0"]' in text
    assert "m = MatMul (x, w)" in text


def test_the_report_adds_up():
    as_dict = REPORT.to_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert as_dict["rules"] == {"cast": 1, "conv_relu": 1, "identity": 2}
    assert as_dict["passes"][1] == {
        "name": "fuse",
        "seconds": 0.0004,
        "nodes_before": 4,
        "nodes_after": 2,
        "applied": {"conv_relu": 1},
    }
    assert str(REPORT).splitlines() == [
        "pass           ms   nodes  applied",
        "canonicalize  2.1  9 -> 4  identity 2, cast 1",
        "fuse          0.4  4 -> 2  conv_relu 1",
        "canonicalize  0.1  2 -> 2",
    ]


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        program().target = find_target("portable")


def test_what_the_target_refuses_is_no_program():
    core = model("g (float[3,3] x) => (float[3,3] y) { y = com.microsoft.FusedMatMul(x, x) }")
    with pytest.raises(UnsupportedError, match="target 'portable' does not accept"):
        Program.legalised(core, find_target("portable"), None, REPORT)

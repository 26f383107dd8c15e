"""What ONNX Runtime's own optimisers make of a program is compared too, and mended or told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from sardonyx import compiler
from sardonyx.compiler.proof import prover
from sardonyx.compiler.proof.optimizers import NAMES, culprit
from sardonyx.compiler.targets import CPU, CUDA, PORTABLE, SessionSettings
from tests.support.models import model, normal
from tests.support.run import run_ort

X = normal(2, 3, 6, 6, seed=7)
UNSET = replace(CPU, name="unset", session=SessionSettings())


def net():
    """Zeros around negative numbers: Pad_Fusion lets MaxPool pad instead, which it ignores."""
    return model(
        """g (float[2,3,6,6] x) => (float[2,3,3,3] y) {
            a = Abs(x)  b = Neg(a)  p = Pad(b, pads, zero)
            y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(p) }""",
        pads=np.int64([0, 0, 1, 1, 0, 0, 1, 1]),
        zero=np.float32(0),
    )


def answer(program):
    said = json.loads(program.model.metadata_props.get("sardonyx.session", "{}"))
    disabled = said.get("disabled_optimizers", [])
    session = onnxruntime.InferenceSession(program.to_bytes(), disabled_optimizers=disabled)
    return session.run(None, {"x": X})[0]


@pytest.mark.parametrize("target", [CPU, CUDA])
def test_targets_switch_off_what_pads_with_other_numbers(target):
    program = compiler.compile(net(), target, proof="pass")
    assert program.proof.holds
    assert not program.proof.incidents
    if target is CPU:
        np.testing.assert_array_equal(answer(program), run_ort(net(), {"x": X})[0])


def test_an_optimiser_that_changes_the_answer_is_switched_off():
    program = compiler.compile(net(), UNSET, proof="pass")
    (incident,) = program.proof.incidents
    assert (incident.pass_name, incident.site) == ("export", "the model")
    assert incident.action == (
        "Pad_Fusion of ONNX Runtime did it; the file has its session leave it out"
    )
    assert "rounding explains" in incident.difference
    assert program.proof.holds
    assert not program.proof.is_wrong
    assert program.proof.summary()["undone"] == []
    assert f"changed: {incident}" in str(program.proof)
    np.testing.assert_array_equal(answer(program), run_ort(net(), {"x": X})[0])


def test_it_is_told_where_a_file_has_no_settings():
    program = compiler.compile(net(), PORTABLE, proof="pass")
    assert program.proof.is_wrong
    assert not program.proof.holds
    assert str(program.proof).endswith(
        "Pad_Fusion of ONNX Runtime did it; nothing was undone: "
        'load it with disabled_optimizers=["Pad_Fusion"]\n'
        "the program does not agree with its source"
    )
    assert "sardonyx.session" not in program.model.metadata_props
    off = compiler.compile(net(), PORTABLE, proof="off")
    assert not off.proof.is_wrong


def test_it_is_told_where_no_optimiser_alone_is_at_fault(monkeypatch):
    monkeypatch.setattr(prover, "culprit", lambda model, is_right: None)
    program = compiler.compile(net(), UNSET, proof="pass")
    (incident,) = program.proof.incidents
    assert 'load it with graph_optimization="off", and report it' in incident.action
    assert program.proof.is_wrong


@pytest.mark.parametrize("wrong", [NAMES[0], NAMES[17], NAMES[-1]])
def test_the_culprit_is_found_by_halving(wrong):
    asked = []

    def is_right(tried):
        asked.append(json.loads(tried.metadata_props["sardonyx.session"])["disabled_optimizers"])
        return wrong in asked[-1] and "Kept" in asked[-1]

    given = net()
    given.metadata_props["sardonyx.session"] = '{"disabled_optimizers": ["Kept"]}'
    assert culprit(given, is_right) == wrong
    assert len(asked) <= 8
    assert culprit(given, lambda tried: False) is None
    assert given.metadata_props["sardonyx.session"] == '{"disabled_optimizers": ["Kept"]}'


def test_what_a_file_says_of_its_session_may_be_anything():
    for said in ("", "[", "[]", "3", '{"disabled_optimizers": 3}'):
        given = net()
        given.metadata_props["sardonyx.session"] = said
        program = compiler.compile(given, UNSET, proof="pass")
        assert program.proof.incidents

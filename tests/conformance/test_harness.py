"""The judge of conformance cases sees what is wrong, also when it takes the process down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.conformance import judge
from tests.conformance.cases import Case
from tests.conformance.deploy import deploy, ort_alone
from tests.conformance.expected import Reason, complaints, read_list
from tests.conformance.values import difference


def add_case(expected, dtype=TensorProto.FLOAT):
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", dtype, [2])],
        [helper.make_tensor_value_info("y", dtype, [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    x = np.array([1.5, -2.0], np.float32)
    return Case("add", lambda: model, lambda: [([x], [expected])], 1e-3, 1e-7)


@pytest.mark.parametrize("route", judge.ROUTES)
def test_right_and_wrong_are_told_apart(route):
    right = np.array([3.0, -4.0], np.float32)
    assert judge.judge(add_case(right), route) == "right"
    assert "numbers" in judge.judge(add_case(right * 1.01), route)
    assert "dtype" in judge.judge(add_case(right.astype(np.float64)), route)
    assert "shape" in judge.judge(add_case(right[None]), route)
    assert "2 outputs" not in judge.judge(add_case(right), route)


@pytest.mark.parametrize(
    ("found", "expected", "differs"),
    [
        (np.array([1, 2]), np.array([1, 3]), "numbers"),
        (np.array([True]), np.array([False]), "numbers"),
        (np.array(["a"], object), np.array(["b"], object), "strings"),
        ([np.zeros(2)], [np.zeros(2), np.zeros(2)], "items"),
        ([np.zeros(2)], [np.ones(2)], "numbers"),
        (np.zeros(1), None, "instead"),
        (np.array([np.nan]), np.array([1.0]), "numbers"),
        (np.array([np.inf]), np.array([-np.inf]), "numbers"),
        (
            np.array([1.0], ml_dtypes.bfloat16),
            np.array([1.1], ml_dtypes.bfloat16),
            "numbers",
        ),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), None),
        (np.array([1.0], ml_dtypes.bfloat16), np.array([1.0], ml_dtypes.bfloat16), None),
        ([], [], None),
        (None, None, None),
    ],
)
def test_differences(found, expected, differs):
    said = difference(found, expected, 1e-3, 1e-7)
    assert (said is None) if differs is None else (differs in said)


@pytest.mark.parametrize(
    "dtype", [TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2]
)
def test_narrow_values_go_in_and_come_out(dtype):
    array = np.array([[1.5, -2.0], [0.5, 3.0]]).astype(helper.tensor_dtype_to_np_dtype(dtype))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Neg", ["wide"], ["negative"]),
            helper.make_node("Cast", ["negative"], ["y"], to=dtype),
        ],
        "g",
        [helper.make_tensor_value_info("x", dtype, [2, 2])],
        [helper.make_tensor_value_info("y", dtype, [2, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    for route in (deploy, ort_alone):
        (out,) = route(model)([array])
        assert out.dtype == array.dtype
        assert out.tolist() == (-array).tolist()


def test_a_case_that_kills_its_process_is_named_and_the_rest_is_judged(monkeypatch):
    script = textwrap.dedent(
        f"""
        import json, os, sys
        for index, name in enumerate(["a", "b", "c"]):
            if index >= int(sys.argv[3]):
                print(json.dumps([name, None]), flush=True)
                if name == "b":
                    os.kill(os.getpid(), {int(signal.SIGSEGV)})
                print(json.dumps([name, "right"]), flush=True)
        """
    )
    run = subprocess.run

    def run_script(command, **options):
        return run([sys.executable, "-c", script, *command[3:]], **options)

    monkeypatch.setattr(judge.subprocess, "run", run_script)
    verdicts = judge.judge_group("node", "deploy")
    assert verdicts["a"] == verdicts["c"] == "right"
    assert str(-signal.SIGSEGV) in verdicts["b"] or os.name == "nt"


LIST = """
# A comment.
[broken there]
node/a
node/b
[either: the weather]
node/c
"""


def test_the_list_and_the_verdicts_must_agree():
    expected = read_list(LIST)
    assert expected["node/a"] == Reason("broken there", False)
    assert complaints("node", {"a": "bad", "b": "bad", "c": "right", "d": "right"}, expected) == []
    said = complaints("node", {"a": "right", "c": "bad", "d": "bad"}, expected)
    assert [line.split()[0] for line in said] == ["a", "b", "d"]
    assert "take it off" in said[0]
    assert "no such case" in said[1]
    assert "wrong: bad" in said[2]

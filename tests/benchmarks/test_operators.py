"""Profiles by operator."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx.parser
import pytest

from benchmarks.operators import by_operator, profile
from benchmarks.report import operators

MODEL = """
<ir_version: 10, opset_import: ["": 21]>
g (float[8, 16] x) => (float[8, 8] y) {
    w = Transpose <perm = [1, 0]> (x)
    p = MatMul(x, w)
    y = Erf(p)
}
"""


def event(name, duration=None):
    if duration is None:
        return {"cat": "Session", "name": name, "dur": 999}
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "dur": duration,
        "args": {"op_name": name},
    }


def run(*rows):
    return [*(event(name, microseconds) for name, microseconds in rows), event("model_run")]


def test_the_fastest_run_after_the_warm_up_is_told():
    events = [
        *run(("MatMul", 1), ("Add", 1)),
        *run(("MatMul", 400), ("Add", 30), ("MatMul", 200)),
        *run(("MatMul", 500), ("Add", 700)),
    ]
    assert by_operator(events, 1, 2) == {"MatMul": 0.6, "Add": 0.03}


def test_a_profile_that_was_cut_short_is_an_error():
    with pytest.raises(ValueError, match="holds 1 runs, expected 3"):
        by_operator(run(("MatMul", 1)), 1, 2)


def test_a_model_is_profiled(tmp_path):
    path, inputs = tmp_path / "model.onnx", tmp_path / "inputs.npz"
    onnx.save(onnx.parser.parse_model(MODEL), path)
    np.savez(inputs, x=np.random.default_rng(0).standard_normal((8, 16), np.float32))
    found = profile(path, inputs, 1, 2)
    assert set(found) == {"FusedMatMul", "Erf"}, "ONNX Runtime joins the transpose and the product"
    assert all(milliseconds > 0 for milliseconds in found.values())


def test_the_page_tells_the_bound():
    result = {
        "settings": {"threads": 1, "runs": 9},
        "machine": {"cpu": {"name": "Some CPU", "features": ["avx2"]}},
        "operators": {
            "bert": {
                "export": {"MatMul": 8.0, "Softmax": 1.95, "Cast": 0.05},
                "sardonyx": {"MatMul": 8.0, "Attention": 0.5},
            }
        },
    }
    lines = list(operators("operators-cpu-1", json.loads(json.dumps(result))))
    row = "| bert | 1.25 | 10: MatMul 8, Softmax 1.95 | 8.5: MatMul 8, Attention 0.5 |"
    assert row in lines
    assert "| geometric mean | **1.25** of 1 |  |  |" in lines

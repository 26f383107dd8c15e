"""The child process: limits, deaths, dtypes."""

from __future__ import annotations

import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from sardonyx.compiler import ExecutionError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.proof import Executor, Limits
from sardonyx.compiler.targets import CPU
from tests.support.models import model, normal


def run(text, feeds, limits=None, **weights):
    with Executor(limits or Limits()) as executor:
        return executor.run(legalise(model(text, **weights), CPU), [feeds])[0]


def test_large_weights_go_by_file():
    w = normal(40, 50)
    x = normal(3, 40, seed=1)
    (y,) = run("g (float[b,40] x) => (float[b,50] y) { y = MatMul(x, w) }", {"x": x}, w=w)
    np.testing.assert_allclose(y, x @ w, rtol=1e-4, atol=1e-5)


def test_several_models_share_the_weights():
    w = normal(40, 50)
    source = model("g (float[b,40] x) => (float[b,50] y) { y = MatMul(x, w) }", w=w)
    with Executor(Limits()) as executor:
        for rows in (1, 4):
            x = normal(rows, 40, seed=rows)
            (y,) = executor.run(legalise(source, CPU), [{"x": x}])[0]
            np.testing.assert_allclose(y, x @ w, rtol=1e-4, atol=1e-5)
        assert (executor.folder / "weights").stat().st_size == w.nbytes


def test_narrow_dtypes_travel_as_wide_ones():
    text = """g (bfloat16[4] x, int4[4] i) => (bfloat16[4] y, int4[4] j) {
        y = Identity(x) h = Cast <to = 3> (i) j = Cast <to = 22> (h) }"""
    x = np.array([0.1, -2, 3e30, np.inf], np.float32)
    i = np.array([-8, 0, 3, 7], np.int8)
    y, j = run(text, {"x": x, "i": i})
    np.testing.assert_array_equal(y, x.astype(ml_dtypes.bfloat16).astype(np.float32))
    np.testing.assert_array_equal(j, i)
    assert (y.dtype, j.dtype) == (np.float32, np.int8)


def test_the_types_of_the_source_stay_as_they_are():
    source = model("g (bfloat16[4] x) => (bfloat16[4] y) { y = Identity(x) }")
    # Copies share the objects that say types.
    with Executor(Limits()) as executor:
        executor.run(source.clone(), [{"x": np.zeros(4, np.float32)}])
    assert [v.dtype.name for v in (*source.graph.inputs, *source.graph.outputs)] == ["BFLOAT16"] * 2


def test_strings():
    x = np.array(["", "ä", "long enough"], object)
    (y,) = run("g (string[3] x) => (string[3] y) { y = Identity(x) }", {"x": x})
    assert y.tolist() == x.tolist()


def test_a_death_of_the_process_is_an_error_and_the_next_model_runs():
    trap = "g (int32[1] x, int32[1] d) => (int32[1] y) { y = Div(x, d) }"
    lowest = np.array([np.iinfo(np.int32).min], np.int32)
    with pytest.raises(ExecutionError, match="SIGFPE"):
        run(trap, {"x": lowest, "d": np.array([-1], np.int32)})
    (y,) = run(trap, {"x": lowest, "d": np.array([2], np.int32)})
    assert y.tolist() == [-(2**30)]


LOOP = """g (int64 n, float[1] x) => (float[1] y) {
    go = Constant <value = bool {1}> ()
    y = Loop (n, go, x) <body = b (int64 i, bool c, float[1] s) => (bool d, float[1] t) {
        d = Identity(c)  t = Add(s, s) }> }"""


def test_what_does_not_end_is_ended():
    feeds = {"n": np.int64(2**62), "x": np.zeros(1, np.float32)}
    with pytest.raises(ExecutionError, match="in time"):
        run(LOOP, {"n": np.asarray(feeds["n"]), "x": feeds["x"]}, Limits(seconds=2))
    (y,) = run(LOOP, {"n": np.asarray(np.int64(3)), "x": np.ones(1, np.float32)})
    assert y.tolist() == [8.0]


def test_memory_is_limited():
    text = "g (int64[1] n) => (float[m] y) { y = ConstantOfShape(n) }"
    with pytest.raises(ExecutionError):
        run(text, {"n": np.array([2**31])}, Limits(memory=4 << 30))
    (y,) = run(text, {"n": np.array([5])}, Limits(memory=4 << 30))
    assert y.tolist() == [0.0] * 5


def test_what_onnxruntime_says_is_passed_on():
    with pytest.raises(ExecutionError, match="indices element out of data bounds"):
        run(
            "g (float[3] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }",
            {"x": np.zeros(3, np.float32), "i": np.array([7])},
        )


def test_a_full_disk_is_told(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sardonyx.compiler.proof.execute.write_runnable", full)
    with pytest.raises(ExecutionError, match="No space left"):
        run("g (float[1] x) => (float[1] y) { y = Neg(x) }", {"x": np.zeros(1, np.float32)})


def test_a_request_without_a_limit_has_none_left_of_the_one_before():
    code = (
        "import resource\n"
        "from sardonyx.compiler.proof.worker import limit_memory\n"
        "_, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
        "limit_memory(8 << 30)\n"
        "assert resource.getrlimit(resource.RLIMIT_AS)[0] != hard\n"
        "limit_memory(None)\n"
        "assert resource.getrlimit(resource.RLIMIT_AS) == (hard, hard)\n"
    )
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})

"""Denormals are flushed, or kept, in every calling thread, and only while it calls."""

from __future__ import annotations

import concurrent.futures

import numpy as np
import onnxruntime
import pytest
import torch

from sardonyx import runtime
from sardonyx.runtime import denormals

from .models import model

MUL = model("g (float[n] x, float[n] w) => (float[n] y) { y = Mul(x, w) }")
RESHAPE = model("g (float[n] x, int64[2] s) => (float[a, b] y) { y = Reshape(x, s) }")
TINY = np.full(4, 1e-39, np.float32)
ONE = np.ones(4, np.float32)
KEEP = {"session.set_denormal_as_zero": "0"}

pytestmark = pytest.mark.skipif(
    denormals.SUPPORT is None, reason="the mode of this machine's threads is ONNX Runtime's alone"
)


def in_a_thread(function, *args):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def is_flushing():
    return not (TINY * np.float32(0.5)).any()


@pytest.fixture
def flushing_thread():
    before = is_flushing()
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(before)


@pytest.mark.parametrize("run", [lambda f, *a: f(*a), in_a_thread], ids=["here", "elsewhere"])
@pytest.mark.parametrize(("config", "flushed"), [(None, True), (KEEP, False)])
def test_every_thread_computes_in_the_mode_of_the_session(run, config, flushed):
    onnxruntime.InferenceSession(MUL, providers=["CPUExecutionProvider"])
    session = runtime.load(MUL, config=config)
    bound = session.bind(TINY, ONE)
    calls = [
        lambda: session(TINY, ONE),
        lambda: session.run(TINY, ONE, timeout=60),
        lambda: session.run_async(TINY, ONE).result(),
        lambda: list(session.run_named({"x": TINY, "w": ONE}).values()),
        bound,
    ]
    expected = np.zeros_like(TINY) if flushed else TINY
    for call in calls:
        np.testing.assert_array_equal(run(call)[0], expected)


def test_a_session_that_keeps_denormals_keeps_them_in_a_thread_that_flushes(flushing_thread):
    np.testing.assert_array_equal(runtime.load(MUL, config=KEEP)(TINY, ONE)[0], TINY)
    assert is_flushing()


def test_the_mode_of_the_caller_is_as_before_also_after_an_error():
    def check():
        before = is_flushing(), mode()
        session = runtime.load(RESHAPE)
        session(TINY, [2, 2])
        with pytest.raises(runtime.RunError):
            session(TINY, [3, 3])
        assert (is_flushing(), mode()) == before == (False, before[1])

    in_a_thread(check)


def mode():
    saved = denormals.Saved()
    denormals.SUPPORT[0](saved.pointer)
    return saved.words[7] & ~0x3F  # without the flags of what has happened


def test_loading_leaves_the_mode_of_the_first_thread_as_it_was(run_python):
    code = f"""
import numpy as np
from sardonyx import runtime
tiny = np.full(4, 1e-39, np.float32)
session = runtime.load({MUL!r})
print(bool((tiny * np.float32(0.5)).any()), bool(session(tiny, [1, 1, 1, 1])[0].any()))
"""
    assert run_python(code) == "True False"

"""Memory as the system counts it; what calls used is given back, weights stay."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from sardonyx import compiler, runtime
from sardonyx.runtime import memory
from tests.support.models import model as with_weights
from tests.support.models import normal

from .models import model, sequence, typed

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the system does not say")
MIB = 1 << 20

SMAPS = """7f00-7f10 r--p 00000000 fe:00 12 /cache/key/weights.bin
Size:                 64 kB
Rss:                  40 kB
7f10-7f20 rw-p 00000000 00:00 0
Rss:                  99 kB
7f20-7f30 r--p 00000000 fe:00 12 /cache/key/weights.bin
Rss:                   2 kB
7f30-7f40 r--p 00000000 fe:00 12 /cache/keys/weights.bin
Rss:                   7 kB
"""


def test_what_the_system_s_files_say(tmp_path, monkeypatch):
    rollup = "00-ff ---p 00000000 00:00 0 [rollup]\nRss:  100 kB\nAnonymous:  30 kB\n"
    (tmp_path / "smaps_rollup").write_text(rollup)
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  200 kB\n")
    (tmp_path / "smaps").write_text(SMAPS)
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    found = memory.read_memory(Path("/cache/key"))
    assert found == memory.Memory(100 << 10, 30 << 10, 70 << 10, 42 << 10, 200 << 10)
    assert str(found).splitlines()[0] == "resident  0.1 MiB"
    assert memory.read_memory(None).weights is None
    monkeypatch.setattr(memory, "PROCESS", tmp_path / "absent")
    monkeypatch.setattr(memory, "_peak", lambda: None)
    assert memory.read_memory(None) == memory.Memory(None, None, None, None, None)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["cpu:0"]),
        ({"CUDAExecutionProvider": {"device_id": "1"}}, ["cpu:0", "gpu:1"]),
        ({"CUDAExecutionProvider": {"device_id": "1", "enable_cuda_graph": "1"}}, ["cpu:0"]),
    ],
)
def test_the_arena_that_captured_graphs_work_in_is_left_alone(options, found):
    raw = types.SimpleNamespace(get_provider_options=lambda: options)
    assert list(memory._arenas(raw)) == found


@LINUX
def test_what_calls_used_is_given_back():
    text = "g (float[n, m] x) => (float[n, m] y) { a = Exp(x) b = Add(a, x) y = Mul(b, a) }"
    session = runtime.load(model(text), threads=1)
    x = np.ones((2048, 4096), np.float32)  # 32 MiB
    session(x)
    del x
    assert session.release_memory() > 25 * MIB
    assert session.release_memory() < 8 * MIB
    np.testing.assert_array_equal(session(np.zeros((1, 1), np.float32))[0], [[1]])


def test_release_without_an_arena_and_with_inputs_given():
    text = "g (float[n] x) => (float[n] y) { y = Exp(x) }"
    session = runtime.load(model(text), config={"enable_cpu_mem_arena": False}, threads=1)
    assert session.release_memory() >= 0
    listed = runtime.load(typed("SequenceLength", [sequence("x")], [_count()]), threads=1)
    with pytest.raises(runtime.InputError, match="no random value"):
        listed.release_memory()
    assert listed.release_memory({"x": [np.ones((2, 2), np.float32)]}) >= 0
    with pytest.raises(runtime.InputError):
        session.release_memory({"x": "text"})


def _count():
    from onnx import TensorProto

    from .models import tensor

    return tensor("y", TensorProto.INT64, ())


@LINUX
def test_sessions_of_one_prepared_model_share_its_weights(tmp_path):
    text = "g (float[b,2048] x) => (float[b,2048] y) { m = MatMul(x, v) y = MatMul(m, w) }"
    weights = {"v": normal(2048, 2048), "w": normal(2048, 2048, seed=1)}  # 32 MiB
    path = compiler.compile(with_weights(text, **weights)).save(tmp_path / "net.onnx")
    x = np.ones((1, 2048), np.float32)
    cache = tmp_path / "cache"
    first = runtime.load(path, cache=cache, threads=1)
    expected = first(x)[0]
    # While a session is made, its arena has each packed weight for a moment.
    first.release_memory()
    one = first.memory()
    assert one.weights >= 30 * MIB
    assert one.mapped >= one.weights
    others = [runtime.load(path, cache=cache, threads=threads) for threads in (1, 2)]
    for other in others:
        np.testing.assert_array_equal(other(x)[0], expected)
        other.release_memory()
    grown = first.memory().private - one.private
    assert grown < 12 * MIB
    plain = runtime.load(path, threads=1)
    assert plain.memory().weights is None
    assert first.memory().private - one.private - grown > 25 * MIB

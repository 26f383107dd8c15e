"""The harness measures, and survives contenders that fail."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks import artifacts, measure
from benchmarks.child import Child, ContenderError
from benchmarks.contenders import BASELINE, CONTENDERS, REFERENCE
from benchmarks.models import MODELS

SETTINGS = artifacts.Settings(rounds=2, seconds=0.01, timeout=120)


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "WORK", tmp_path)


def child(tmp_path, **changes):
    setup = {**artifacts.setup("mlp", "eager", SETTINGS), **changes}
    return Child(setup, tmp_path / "child.log")


def test_a_worker_runs_the_model_it_was_asked_for(tmp_path):
    model = MODELS["mlp"]
    x = np.random.default_rng(3).standard_normal((3, 64), np.float32)
    np.savez(tmp_path / "in.npz", x=x)
    with child(tmp_path) as worker:
        assert worker.ask("load", 120, inputs=str(artifacts.inputs("mlp", SETTINGS)))["load_s"] > 0
        worker.ask("run", 60, inputs=str(tmp_path / "in.npz"), outputs=str(tmp_path / "out.npz"))
        answer = worker.ask("time", 60, seconds=0.01)
    import torch

    expected = model.module()(torch.from_numpy(x)).numpy()
    with np.load(tmp_path / "out.npz") as stored:
        np.testing.assert_allclose(stored["arr_0"], expected, rtol=1e-5, atol=1e-6)
    assert answer["calls"] >= 3
    assert answer["median_ms"] > 0


def test_a_failing_worker_gives_its_reason_and_goes_on(tmp_path):
    with child(tmp_path, model="no such model") as worker:
        with pytest.raises(ContenderError, match=r"load: KeyError: 'no such model'"):
            worker.ask("load", 120, inputs=str(artifacts.inputs("mlp", SETTINGS)))
        with pytest.raises(ContenderError, match=r"load: FileNotFoundError"):
            worker.ask("load", 120, inputs=str(tmp_path / "missing.npz"))


def test_a_worker_that_takes_too_long_is_ended(tmp_path):
    with child(tmp_path) as worker:
        worker.ask("load", 120, inputs=str(artifacts.inputs("mlp", SETTINGS)))
        with pytest.raises(ContenderError, match="no answer within 0 s"):
            worker.ask("time", 0.2, seconds=60)
        with pytest.raises(ContenderError, match="the process ended with code -9"):
            worker.ask("time", 5, seconds=0.01)


def test_one_failure_does_not_end_the_race(monkeypatch):
    broken = dataclasses.replace(CONTENDERS["eager"], packages=("no-such-distribution",))
    monkeypatch.setitem(CONTENDERS, "torch_compile", broken)
    told = []
    records = dict(measure.measure(["mlp"], ["torch_compile", "export"], SETTINGS, told.append))[
        "mlp"
    ]
    assert list(records) == ["torch_compile", "export"]
    missing = "not available: package no-such-distribution is not installed"
    assert records["torch_compile"] == {"error": missing}
    export = records["export"]
    assert len(export["rounds_ms"]) == SETTINGS.rounds
    assert export["ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert 0 <= export["relative_error"] < 1e-5
    assert export["nodes"] == 5
    assert "mlp: export + ORT prepares" in told

    told.clear()
    list(measure.measure(["mlp"], ["export"], SETTINGS, told.append))
    assert "mlp: export + ORT prepares" not in told, "the artifact was not kept"


def test_the_tables_name_what_exists():
    assert {BASELINE, REFERENCE} <= set(CONTENDERS)
    assert {row.source for row in CONTENDERS.values()} - {None} <= set(CONTENDERS)
    for name in ("mlp", "bilstm_tagger", "unet_block"):
        first, second = MODELS[name].module(), MODELS[name].module()
        pairs = zip(first.parameters(), second.parameters(), strict=True)
        assert all(bool((a == b).all()) for a, b in pairs), f"{name} is not the same twice"

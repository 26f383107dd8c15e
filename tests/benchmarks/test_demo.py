"""`make demo`, on a small network."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks import artifacts
from examples import demo


def test_it_compiles_checks_and_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(artifacts, "WORK", tmp_path)
    monkeypatch.setattr(demo, "TITLES", {"mlp": "A small network"})
    monkeypatch.setattr(sys, "argv", ["demo", "--models", "mlp", "--rounds", "1"])
    monkeypatch.setenv("SARDONYX_PROOF", "end")
    assert demo.main() == 0
    shown = capsys.readouterr().out
    rows = {
        line.split("│")[1].strip(): line.split("│")[2].strip()
        for line in shown.splitlines()
        if line.startswith("│")
    }
    assert rows["nodes, Sardonyx"] == "5"
    assert float(rows["largest error"]) < 1e-5
    assert int(rows["checks while compiling"]) >= 1
    assert float(rows["Sardonyx, ms"]) > 0

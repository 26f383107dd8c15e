"""The before/after pairs are what they say; what is stored supports what targets choose."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("rich")

from benchmarks import fusions, report
from benchmarks.fusion_models import FUSIONS
from sardonyx.compiler.rules.select import SELECTIONS
from sardonyx.compiler.targets import TARGETS

LEAST = 0.98
SELECTED = {row.selection for row in FUSIONS.values() if row.selection}


def stored(device: str) -> dict[str, dict]:
    path = report.RESULTS / f"fusions-{device}.json"
    return json.loads(path.read_text(encoding="utf-8"))["fusions"] if path.exists() else {}


def test_every_selection_has_a_pair():
    assert set(SELECTIONS) == SELECTED


@pytest.mark.parametrize("name", ["attention", "layer norm"])
def test_a_pair_in_half_precision_computes_in_it(name):
    for program in fusions.programs(FUSIONS[name], "cuda", "fp16").values():
        half = {n.op_type for n in program.model.graph if n.outputs[0].dtype.name == "FLOAT16"}
        assert half - {"Cast"}


@pytest.mark.parametrize("name", [n for n, row in FUSIONS.items() if row.stage == "select"])
def test_a_pair_differs_by_its_selection(name):
    made = fusions.programs(FUSIONS[name])
    names = {rule.name for rule in SELECTIONS[FUSIONS[name].selection]}
    assert set(fusions.applied(made)) <= names
    assert fusions.applied(made)


@pytest.mark.parametrize("name", [n for n, row in FUSIONS.items() if row.stage == "settings"])
def test_a_pair_of_settings_differs_by_one_optimizer(name):
    row = FUSIONS[name]
    before, after = (fusions.target_of(row, side).session for side in fusions.SIDES)
    left = set(after.disabled_optimizers) - set(before.disabled_optimizers)
    assert left == {row.optimizer}


def test_the_race_measures_and_compares(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    options = fusions.parse(["--names", "hard swish", "--rounds", "2", "--seconds", "0.01"])
    record = fusions.run(options, lambda _: None)["fusions"]["hard swish"]
    assert record["rules"] == {"hard_swish": 1}
    assert record["nodes"] == [4, 1]
    assert record["relative_error"] < 1e-6
    assert record["ratio"]["median"] > 0
    assert stored("cpu") == {"hard swish": record}
    assert fusions.report.fusion_cells("hard swish", record)[-1] == "hard_swish"


FOR_RIGHT_RESULTS = {"crossing_matmul"}
"""Selections without which a runtime's kernel would be wrong, whatever they cost."""


def unsupported(target) -> list[str]:
    """The selections of a target that no kept measurement supports."""
    device = "cuda" if target.name == "cuda" else "cpu"
    measured: dict[str, float] = {}
    for name, record in stored(device).items():
        if name in FUSIONS and "ratio" in record:
            ratio, selection = record["ratio"]["median"], FUSIONS[name].selection
            measured[selection] = min(ratio, measured.get(selection, ratio))
    return [
        f"{name}: {measured.get(name, 'not measured')}"
        for name in target.selections
        if name not in FOR_RIGHT_RESULTS and measured.get(name, 0) < LEAST
    ]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_target_chooses_only_what_a_kept_measurement_supports(target):
    assert unsupported(target) == []

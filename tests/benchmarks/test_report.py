"""The page of results."""

from __future__ import annotations

import json
import re
import statistics

from benchmarks.machine import REPOSITORY
from benchmarks.report import MARK, RESULTS, write


def result():
    times = {"median": 2.0, "low": 1.9, "high": 2.25}
    one = {"median": 1.0, "low": 1.0, "high": 1.0}
    return {
        "settings": {"device": "cpu", "threads": 1, "rounds": 3, "seconds": 0.5},
        "contenders": ["export", "sardonyx", "onnxsim", "openvino"],
        "machine": {
            "cpu": {"name": "Some CPU", "cores": 2, "features": ["avx2"]},
            "memory_gb": 8.0,
            "versions": {"torch": "2.13.0"},
        },
        "models": {
            "bert": {
                "export": {"median_ms": 10.04, "ratio": one, "nodes": 443, "relative_error": 2e-7},
                "sardonyx": {"median_ms": 5.0, "ratio": times, "nodes": 300, "prepare_s": 1.25},
                "onnxsim": {"error": "prepare: RuntimeError: a | b\nc"},
                "openvino": {"error": "not available: package openvino is not installed"},
            }
        },
    }


def test_the_page_is_replaced_below_its_mark(tmp_path):
    page, results = tmp_path / "page.md", tmp_path / "results"
    results.mkdir()
    (results / "cpu-1.json").write_text(json.dumps(result()))
    page.write_text(f"# Head\n\n{MARK}\nold\n")
    write(page, results)
    first = page.read_text()
    write(page, results)
    assert page.read_text() == first, "writing twice changes the page"
    assert first.startswith(f"# Head\n\n{MARK}\n")
    assert "old" not in first
    for line in (
        "| bert | 10 | 5 | failed | n/a |",
        "| bert | 2.00 (1.90-2.25) |  |  |",
        "| geometric mean | **2.00** of 1 |  |  |",
        "| bert | export + ORT | 443 | 2.0e-07 |  |  |  |  |",
        "| bert | Sardonyx | 300 |  | 1.2 |  |  |  |",
        "- bert, onnxsim + ORT: prepare: RuntimeError: a / b c",
    ):
        assert line in first.split("\n"), line


def test_without_results_the_page_says_so(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Head\n")
    write(page, tmp_path)
    assert "No results are stored yet" in page.read_text()


def test_the_figures_of_the_readme_are_those_of_the_results():
    read = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    row = next(line for line in read.splitlines() if line.startswith("| five models"))
    told = [float(cell) for cell in re.findall(r"\| ([\d.]+)", row)]
    models = json.loads((RESULTS / "cuda-fp16.json").read_text(encoding="utf-8"))["models"]
    assert len(models) == 5
    contenders = ("export_graphs", "torch_graphs", "sardonyx", "sardonyx_graphs")
    for name, figure in zip(contenders, told, strict=True):
        ratios = [records[name]["ratio"]["median"] for records in models.values()]
        assert abs(statistics.geometric_mean(ratios) - figure) < 0.005

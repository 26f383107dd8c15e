"""Writes docs/benchmarks.md from the stored results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.machine import REPOSITORY
from benchmarks.ratios import geometric_mean

RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
MARK = "<!-- below: written by `python -m benchmarks.report` -->"

FUSION_STAGES = {
    "recognize": "recognised",
    "affine": "folded",
    "parallel": "merged",
    "movement": "rewritten for kernels",
    "select": "chosen by a target",
    "lower": "older opsets",
    "settings": "session settings",
}

PRODUCTS = frozenset(
    {"Conv", "ConvTranspose", "FusedConv", "FusedMatMul", "Gemm", "LSTM", "MatMul"}
)
"""Operators whose time is that of matrix products and convolutions."""

Result = dict[str, Any]


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A Markdown table; all columns but the first are aligned to the right."""
    names = list(header)
    rule = ["---", *("---:" for _ in names[1:])]
    return [f"| {' | '.join(row)} |" for row in (names, rule, *rows)]


def milliseconds(record: Result) -> str:
    """Three significant digits, or why there is no number."""
    value = record.get("median_ms")
    if value is None:
        return "n/a" if "not available" in record.get("error", "") else "failed"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def factor(record: Result) -> str:
    """The ratio to the baseline with its quartiles."""
    found = record.get("ratio")
    return f"{found['median']:.2f} ({found['low']:.2f}-{found['high']:.2f})" if found else ""


def number(record: Result, name: str, form: str = ".0f") -> str:
    """A number of a record, or nothing."""
    value = record.get(name)
    return "" if value is None else format(value, form)


def one_line(error: str) -> str:
    """An error's text, fit for a list or a table."""
    return " ".join(error.split())[:200].replace("|", "/")


def latency(result: Result) -> Iterator[str]:
    """Milliseconds of every contender on every model."""
    names = result["contenders"]
    rows = [
        [model, *(milliseconds(records.get(name, {})) for name in names)]
        for model, records in result["models"].items()
    ]
    yield from table(["ms", *(CONTENDERS[name].title for name in names)], rows)


def ratios(result: Result) -> Iterator[str]:
    """How many times faster than the baseline, with the geometric mean over the models."""
    names = [name for name in result["contenders"] if name != BASELINE]
    records = result["models"]
    rows = [
        [model, *(factor(found.get(name, {})) for name in names)]
        for model, found in records.items()
    ]
    means = []
    for name in names:
        rated = [
            found[name]["ratio"] for found in records.values() if found.get(name, {}).get("ratio")
        ]
        mean = geometric_mean([one["median"] for one in rated])
        means.append("" if mean is None else f"**{mean:.2f}** of {len(rated)}")
    header = ["times faster", *(CONTENDERS[name].title for name in names)]
    yield from table(header, [*rows, ["geometric mean", *means]])


def details(result: Result) -> Iterator[str]:
    """Error, graph size, seconds and memory of the contenders that make a file."""
    header = ["model", "contender", "nodes", "error", "prepare s", "load s"]
    header += ["prepare RSS MB", "run RSS MB"]
    rows = []
    for model, records in result["models"].items():
        for name, record in records.items():
            if record.get("median_ms") is None:
                continue
            cells = [model, CONTENDERS[name].title, number(record, "nodes")]
            cells += [number(record, "relative_error", ".1e")]
            cells += [number(record, key, ".1f") for key in ("prepare_s", "load_s")]
            cells += [number(record, key) for key in ("prepare_peak_rss_mb", "peak_rss_mb")]
            rows.append(cells)
    yield from table(header, rows)


def failures(result: Result) -> Iterator[str]:
    """One line for each contender that gave no number."""
    for model, records in result["models"].items():
        for name, record in records.items():
            if "error" in record:
                yield f"- {model}, {CONTENDERS[name].title}: {one_line(record['error'])}"


def device(machine: Result) -> str:
    """The machine's accelerator, as a sentence; nothing where it has none."""
    return f"{machine['gpu']}. " if "gpu" in machine else ""


def section(name: str, result: Result) -> Iterator[str]:
    """One stored result as Markdown."""
    machine, settings = result["machine"], result["settings"]
    cpu = machine["cpu"]
    versions = ", ".join(f"{key} {text}" for key, text in machine["versions"].items())
    yield f"## {name}"
    yield ""
    yield (
        f"{settings['device']}, {settings.get('precision', 'fp32')}, "
        f"{settings['threads']} thread(s), batch 1, "
        f"{settings['rounds']} rounds of {settings['seconds']} s each; "
        f"{cpu['name']}, {cpu['cores']} usable cores, "
        f"{', '.join(cpu['features'])}, {machine['memory_gb']} GB. {device(machine)}{versions}."
    )
    parts = {
        "Median latency": latency(result),
        f"Against {CONTENDERS[BASELINE].title} (median of the rounds, quartiles)": ratios(result),
        "Accuracy against PyTorch eager, graph size, cost": details(result),
        "No number": failures(result),
    }
    for title, lines in parts.items():
        body = list(lines)
        if body:
            yield from ["", f"### {title}", "", *body]
    yield ""


def compile_time_rows(rows: list[Result]) -> Iterator[list[str]]:
    """Header and rows: what each graph tool took."""
    yield ["model", "tool", "file MB", "nodes", "seconds", "CPU s", "growth MB", "peak MB"]
    for row in rows:
        nodes = " to ".join(filter(None, (number(row, "nodes_before"), number(row, "nodes"))))
        costs = [number(row, key, ".2f") for key in ("seconds", "cpu_seconds")]
        costs += [number(row, key) for key in ("growth_mb", "peak_mb")]
        yield [row["model"], row["tool"], number(row, "file_mb"), nodes, *costs]


def compile_time(result: Result) -> Iterator[str]:
    """The compiler's own cost as Markdown."""
    header, *rows = compile_time_rows(result["compile_time"])
    cpu = result["machine"]["cpu"]
    yield from ["## Graph tools: seconds and memory", ""]
    yield "Growth is the peak while rewriting beyond what the loaded model takes; peak is that of"
    yield f"the whole process (load, compile, save). {cpu['name']}, {cpu['cores']} usable cores."
    yield from ["", *table(header, rows), ""]
    failed = [row for row in result["compile_time"] if "error" in row]
    yield from (f"- {row['model']}, {row['tool']}: {one_line(row['error'])}" for row in failed)


def fusion_cells(name: str, record: Result) -> list[str]:
    """One fusion as a row: name, shape, ms before and after, ratio, nodes, rules."""
    if "failure" in record:
        return [name, record["shape"], "", one_line(record["failure"]), "", ""]
    before, after = record["median_ms"]
    rules = ", ".join(f"{rule} {n}" if n > 1 else rule for rule, n in record["rules"].items())
    nodes = " to ".join(map(str, record["nodes"]))
    times = f"{before:.3g} to {after:.3g}"
    return [name, record["shape"], times, factor(record), nodes, rules]


def fusions(name: str, result: Result) -> Iterator[str]:
    """What each fusion gains, as Markdown."""
    machine, settings = result["machine"], result["settings"]
    used = ("onnxruntime", "onnx-ir", "numpy")
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if k in used)
    yield from [f"## {name}", ""]
    yield (
        f"{settings['device']}, {settings.get('precision', 'fp32')}, {settings['threads']} "
        f"thread(s), {settings['rounds']} rounds of {settings['seconds']} s each; "
        f"{machine['cpu']['name']}, {', '.join(machine['cpu']['features'])}. "
        f"{device(machine)}{versions}."
    )
    for stage, title in FUSION_STAGES.items():
        rows = [
            fusion_cells(fusion, record)
            for fusion, record in result["fusions"].items()
            if record["stage"] == stage
        ]
        if rows:
            header = [title, "shape", "ms", "times faster", "nodes", "rules"]
            yield from ["", *table(header, rows)]
    yield ""


def parts(times: dict[str, float]) -> str:
    """Milliseconds in all, and the operators that take one percent of them or more."""
    total = sum(times.values())
    shown = [f"{name} {ms:.3g}" for name, ms in times.items() if ms >= total / 100]
    return f"{total:.3g}: {', '.join(shown)}"


def operators(name: str, result: Result) -> Iterator[str]:
    """Where the time goes, as Markdown."""
    settings, cpu = result["settings"], result["machine"]["cpu"]
    yield from [f"## {name}", ""]
    yield (
        f"Milliseconds by operator in ONNX Runtime's profile, those above 1 %, of the fastest of "
        f"{settings['runs']} runs; {settings['threads']} thread(s), {cpu['name']}, "
        f"{', '.join(cpu['features'])}. Each model is profiled at a time of its own, so parts can "
        "be compared and totals cannot. Bound: what plain export would gain if all but its "
        "matrix products and convolutions cost nothing; attention counts as the rest there."
    )
    rows, bounds = [], []
    for model, found in result["operators"].items():
        before = found[BASELINE]
        products = sum(ms for operator, ms in before.items() if operator in PRODUCTS)
        bounds.append(sum(before.values()) / products)
        rows.append([model, f"{bounds[-1]:.2f}", parts(before), parts(found["sardonyx"])])
    mean = geometric_mean(bounds)
    rows.append(["geometric mean", f"**{mean:.2f}** of {len(bounds)}" if mean else "", "", ""])
    header = ["model", "bound", CONTENDERS[BASELINE].title, CONTENDERS["sardonyx"].title]
    yield from ["", *table(header, rows), ""]


def write(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Replace what stands below the mark of the page by the results found in the folder."""
    head = page.read_text(encoding="utf-8").partition(MARK)[0]
    lines = [MARK, ""]
    for path in sorted(results.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if "fusions" in result:
            lines += fusions(path.stem, result)
        elif "operators" in result:
            lines += operators(path.stem, result)
        elif "models" in result:
            lines += section(path.stem, result)
        elif "compile_time" in result:
            lines += compile_time(result)
    if len(lines) == 2:
        lines += ["No results are stored yet; `make bench` writes them here.", ""]
    page.write_text(head + "\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()

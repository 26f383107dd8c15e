"""Measures contenders side by side and writes results and table.

python -m benchmarks.run --models resnet50 bert_base --contenders export sardonyx --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import report
from benchmarks.artifacts import Settings
from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.machine import describe
from benchmarks.measure import measure
from benchmarks.models import MODELS

console = Console()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    defaults = Settings()
    every_model = [name for name, model in MODELS.items() if model.by_default]
    parser = argparse.ArgumentParser(description="Contenders side by side, in turn.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=every_model, metavar="NAME")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME")
    parser.add_argument("--threads", type=int, default=defaults.threads)
    parser.add_argument("--device", choices=["cpu", "cuda"], default=defaults.device)
    parser.add_argument("--precision", choices=["fp32", "fp16"], default=defaults.precision)
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="per turn")
    parser.add_argument("--timeout", type=float, default=defaults.timeout, help="per command")
    parser.add_argument("--name", help="of the result; default DEVICE-THREADS, cuda-PRECISION")
    parser.add_argument(
        "--at-once", type=int, default=defaults.at_once, help="contenders prepared and loaded"
    )
    parser.add_argument("--resume", action="store_true", help="keep models of the stored result")
    parser.add_argument("--list", action="store_true", help="list models and contenders")
    return parser.parse_args(arguments)


def store(path: Path, result: dict[str, Any]) -> None:
    """Write the result so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def show(model: str, records: dict[str, dict[str, Any]]) -> None:
    """One model's records on the terminal."""
    table = Table("contender", "ms", "times faster", "error", "nodes", title=model)
    for name, record in records.items():
        if "error" in record:
            table.add_row(CONTENDERS[name].title, "", record["error"][:90])
            continue
        error = report.number(record, "relative_error", ".1e")
        cells = [report.milliseconds(record), report.factor(record), error]
        table.add_row(CONTENDERS[name].title, *cells, report.number(record, "nodes"))
    console.print(table)


def with_progress(
    steps: int, work: Callable[[Callable[[str], None], Callable[[], None]], None]
) -> None:
    """Run `work(tell, advance)` under a progress bar of so many steps."""
    columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=steps)
        work(
            lambda text: progress.update(task, description=text),
            lambda: progress.advance(task),
        )


def run(options: argparse.Namespace) -> Path:
    """Measure what the options ask for; returns the path of the result."""
    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    detail = settings.threads if settings.device == "cpu" else settings.precision
    path = report.RESULTS / f"{options.name or f'{settings.device}-{detail}'}.json"
    possible = [
        name
        for name, row in CONTENDERS.items()
        if settings.device in row.devices and row.by_default
    ]
    contenders = options.contenders or possible
    result = {
        "settings": asdict(settings),
        "baseline": BASELINE,
        "contenders": contenders,
        "machine": describe(),
        "models": {},
    }
    if options.resume and path.exists():
        result["models"] = json.loads(path.read_text(encoding="utf-8"))["models"]

    def work(tell: Callable[[str], None], advance: Callable[[], None]) -> None:
        missing = [model for model in options.models if model not in result["models"]]
        for model, records in measure(missing, contenders, settings, tell):
            result["models"][model] = records
            store(path, result)
            show(model, records)
            advance()

    with_progress(len(options.models), work)
    report.write()
    return path


def main() -> None:
    """The command."""
    options = parse()
    if options.list:
        console.print("models:", *MODELS)
        console.print("contenders:", *(f"{name} ({row.title})" for name, row in CONTENDERS.items()))
        return
    console.print(f"stored in {run(options).relative_to(report.REPOSITORY)}")


if __name__ == "__main__":
    main()

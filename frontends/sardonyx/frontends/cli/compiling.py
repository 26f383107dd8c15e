"""`sardonyx compile`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from sardonyx import compiler
from sardonyx.frontends.cli.options import parse_dynamic
from sardonyx.frontends.cli.show import print_json, print_rows, status
from sardonyx.frontends.cli.source import load_source


def run_compile(
    source: str,
    output: Path,
    *,
    target: str,
    opset: int | None,
    dynamic: list[str],
    external_data: bool | None,
    verify_level: int,
    as_json: bool,
) -> None:
    """Compile a model, write it and say what was done."""
    wanted = parse_dynamic(dynamic)
    started = time.perf_counter()
    with status(f"reading {source}", as_json) as shown:
        model = load_source(source, wanted)
        read = time.perf_counter() - started
        program = compiler.compile(
            model,
            target,
            opset=opset,
            verify_level=verify_level,
            on_pass=lambda name: shown.update(f"pass {name}"),
        )
        shown.update(f"writing {output}")
        path = program.save(output, external_data=external_data)
    report = program.report
    applied: Counter[str] = Counter()
    for record in report.records:
        applied.update(record.applied)
    summary = {
        "file": str(path),
        "target": program.target.name,
        "nodes_before": report.nodes_before,
        "nodes_after": report.nodes_after,
        "read_seconds": round(read, 3),
        "compile_seconds": round(report.seconds, 3),
    }
    if as_json:
        passes = [
            {"pass": r.name, "seconds": r.seconds, "nodes": r.nodes_after, "applied": r.applied}
            for r in report.records
        ]
        print_json({**summary, "applied": dict(applied), "passes": passes})
        return
    print_rows(str(path), [summary])
    rows = [{"rewrite": name, "times": count} for name, count in applied.most_common()]
    if rows:
        print_rows("rewrites", rows)

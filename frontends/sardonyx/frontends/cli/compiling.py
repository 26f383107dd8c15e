"""`sardonyx compile`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from sardonyx import compiler
from sardonyx.frontends.cli.comparing import DISAGREE
from sardonyx.frontends.cli.explaining import print_sites, read_requirements, refuse
from sardonyx.frontends.cli.feeds import read_sample
from sardonyx.frontends.cli.options import parse_dynamic
from sardonyx.frontends.cli.show import print_json, print_rows, status
from sardonyx.frontends.cli.source import load_source
from sardonyx.frontends.cli.tuning import check_tuning, tune_for
from sardonyx.frontends.cli.writing import check_file, check_folder


def run_compile(
    source: str,
    output: Path,
    *,
    target: str,
    dynamic: list[str],
    external_data: bool | None,
    samples: list[Path],
    explain: bool,
    require: list[str],
    tune: float | None,
    accuracy: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compile a model, write it and say what was done; `options` are those of `compile`."""
    check_file(output, "--output")
    if options.get("repros") is not None:
        check_folder(options["repros"], "--repros")
    wanted = parse_dynamic(dynamic)
    requirements = read_requirements(require)
    given = [read_sample(path) for path in samples]
    check_tuning(tune, accuracy)
    started = time.perf_counter()
    with status(f"reading {source}", as_json) as shown:
        model = load_source(source, wanted)
        read = time.perf_counter() - started
        program = compiler.compile(
            model,
            target,
            explain=explain or bool(requirements),
            samples=given,
            **options,
            on_pass=lambda name: shown.update(f"pass {name}"),
        )
        explanation = program.explanation
        unmet = explanation.unmet(requirements) if explanation else {}
        if explanation and unmet:
            # What a build demands and does not get, it must not find on disk.
            refuse(explanation, unmet, as_json)
        shown.update(f"writing {output}")
        path = program.save(output, external_data=external_data)
        shown.update(f"tuning {output}")
        tuning = tune_for(tune, path, given, accuracy)
    report, summary = program.report, _summary(path, program, read)
    if as_json:
        told = {"explanation": explanation.to_dict()} if explain and explanation else {}
        evidence = {"report": report.to_dict(), "proof": program.proof.to_dict()}
        tuned = {"tuning": tuning.to_dict()} if tuning else {}
        print_json({**summary, **evidence, **tuned, **told})
    else:
        _print(summary, program, tuning, explains=explain)
    if program.proof.is_wrong:
        print(f"error: {path} does not agree with its source: see the proof", file=sys.stderr)
        raise typer.Exit(DISAGREE)


def _print(
    summary: Mapping[str, Any],
    program: compiler.Program,
    tuning: object,
    *,
    explains: bool,
) -> None:
    explanation = program.explanation
    print_rows(
        str(summary["file"]), [{"fact": name, "value": value} for name, value in summary.items()]
    )
    _print_rewrites(program.report.rules)
    if explains and explanation:
        print_sites(explanation, explanation.sites)
    print(f"proof: {program.proof}")
    if tuning:
        print(tuning)


def _summary(path: Path, program: compiler.Program, read: float) -> dict[str, Any]:
    return {
        "file": str(path),
        "target": program.target.name,
        "nodes_before": program.report.source_nodes,
        "nodes_after": sum(1 for _ in program.model.graph.all_nodes()),
        "read_seconds": round(read, 3),
        "compile_seconds": round(program.report.seconds, 3),
    }


def _print_rewrites(rules: Mapping[str, int]) -> None:
    ordered = sorted(rules.items(), key=lambda item: -item[1])
    if rules:
        print_rows("rewrites", [{"rewrite": name, "times": count} for name, count in ordered])

"""`sardonyx compare` and `sardonyx verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sardonyx.frontends.cli.feeds import read_sample
from sardonyx.frontends.cli.show import print_json, status
from sardonyx.frontends.cli.source import load_any
from sardonyx.frontends.comparing import compare, verify

DISAGREE = 1
"""Exit code where two models do not agree."""


def run_compare(
    reference: str, model: str | None, *, samples: list[Path], as_json: bool, **options: Any
) -> None:
    """Compare two models and say where they begin to differ; `options` are those of `compare`."""
    given = [read_sample(path) for path in samples]
    with status(f"comparing with {reference}", as_json):
        first = load_any(reference)
        second = load_any(model) if model is not None else None
        made = compare(first, second, samples=given, **options)
    if as_json:
        print_json(made.to_dict())
    else:
        print(made)
    if not made.agrees:
        raise typer.Exit(DISAGREE)


def run_verify(
    model: str, against: str, *, samples: list[Path], as_json: bool, **options: Any
) -> None:
    """Compare a model with its source at several sizes; `options` are those of `verify`."""
    given = [read_sample(path) for path in samples]
    with status(f"comparing {model} with {against}", as_json):
        made = verify(load_any(model), load_any(against), samples=given, **options)
    if as_json:
        print_json(made.to_dict())
    else:
        print(made)
    if not made.agrees:
        raise typer.Exit(DISAGREE)

"""`sardonyx explain`, and the explanation that `sardonyx compile` gives."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import typer

from sardonyx import compiler
from sardonyx.compiler.explanation import Explanation, Site
from sardonyx.frontends.cli.options import parse_dynamic
from sardonyx.frontends.cli.show import print_json, print_rows, status
from sardonyx.frontends.cli.source import load_source

UNMET = 1
"""Exit code where a requirement does not hold."""


def run_explain(
    source: str,
    *,
    target: str,
    dynamic: Iterable[str],
    require: Iterable[str],
    families: Sequence[str],
    only_missed: bool,
    as_json: bool,
) -> None:
    """Compile a model and say what became of each site that can be fused."""
    requirements = read_requirements(require)
    for name in families:
        Explanation(()).of(name)
    wanted = parse_dynamic(dynamic)
    with status(f"reading {source}", as_json) as shown:
        model = load_source(source, wanted)
        shown.update("compiling")
        explanation = compiler.explain(model, target)
    unmet = explanation.unmet(requirements)
    if unmet:
        refuse(explanation, unmet, as_json)
    sites = _about(explanation, families)
    if only_missed:
        sites = [site for site in sites if site.reason]
    if as_json:
        print_json(_as_object(explanation, sites, families, {}))
    else:
        print_sites(explanation, sites, families)


def refuse(explanation: Explanation, unmet: dict[str, str], as_json: bool) -> NoReturn:
    """Explain the families whose requirement does not hold, and end with exit code 1."""
    names = list(dict.fromkeys(text.partition("=")[0].rstrip(">") for text in unmet))
    sites = _about(explanation, names)
    if as_json:
        print_json(_as_object(explanation, sites, names, unmet))
    else:
        print_sites(explanation, sites, names)
        for requirement, instead in unmet.items():
            print(f"error: {requirement} does not hold: {instead}", file=sys.stderr)
    raise typer.Exit(UNMET)


def read_requirements(options: Iterable[str]) -> list[str]:
    """Read `attention=12,gelu=all`, given once or several times.

    Raises:
        UnsupportedError: One is malformed, or is about nothing that is known.
    """
    found = [text.strip() for option in options for text in option.split(",")]
    Explanation(()).unmet(found)
    return found


def _about(explanation: Explanation, names: Sequence[str]) -> list[Site]:
    """Return the sites of some families or kinds, or all of them."""
    return [s for s in explanation.sites if not names or s.family in names or s.kind in names]


def _as_object(
    explanation: Explanation, sites: Iterable[Site], names: Sequence[str], unmet: dict[str, str]
) -> dict[str, Any]:
    """Return what programs read: of the families and kinds that are asked for, or of all."""
    counts = {name: explanation.count(name) for name in names} or explanation.counts()
    return {
        "counts": {name: vars(count) for name, count in counts.items()},
        "sites": [site.to_dict() for site in sites],
        "unmet": unmet,
    }


def print_sites(explanation: Explanation, sites: Sequence[Site], names: Sequence[str] = ()) -> None:
    """Print a table for each family, headed by what was fused and what was not.

    Args:
        explanation: What became of all sites.
        sites: Those to show.
        names: The families and kinds to show a table for; by default the families of the sites.
    """
    for name in names or dict.fromkeys(site.family for site in sites):
        rows = [_row(site) for site in sites if name in (site.family, site.kind)]
        if not rows:
            continue
        empty = {key for key in rows[0] if not any(row[key] for row in rows)}
        print_rows(
            explanation.summary(name),
            [{k: v for k, v in row.items() if k not in empty} for row in rows],
        )
    if not explanation.sites:
        print("There is no attention, norm, activation, convolution or group of linear layers.")
    elif not sites:
        for name in names or dict.fromkeys(site.family for site in explanation.sites):
            print(explanation.summary(name))


def _row(site: Site) -> dict[str, str]:
    near = site.nearest.rule if site.nearest else ""
    return {
        "place": site.place,
        "class": site.owner,
        "site": site.said or site.kind,
        "outcome": site.told_outcome,
        "operators": ", ".join(site.operators),
        "nearest rule": near,
        "why not": site.reason,
    }

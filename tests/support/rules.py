"""The checks of `sardonyx.compiler.testing`, judged by ONNX Runtime with its rewriting off."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import onnx_ir as ir

from sardonyx.compiler import testing
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.testing import apply, check_miss, check_unchanged, counts
from tests.support.models import clone
from tests.support.neighbours import IS_THOROUGH, check_neighbours
from tests.support.run import run_ort

__all__ = [
    "apply",
    "check_miss",
    "check_neighbours",
    "check_rewrite",
    "check_rule",
    "check_same",
    "check_shared",
    "check_stays",
    "check_unchanged",
    "counts",
]

check_same = functools.partial(testing.check_same, run=run_ort)


def check_rule(
    subject: testing.Subject,
    model: ir.Model,
    expected: Mapping[str, int],
    *,
    atol: float,
    rtol: float,
    dims: testing.Dims | Iterable[testing.Dims] = (),
) -> ir.Model:
    """`sardonyx.compiler.testing.check_match`, and what becomes of neighbours of the table."""
    every = [dims] if isinstance(dims, Mapping) else list(dims)
    close = {"atol": atol, "rtol": rtol}
    after = testing.check_match(subject, model, expected, **close, dims=every, run=run_ort)
    most = {} if IS_THOROUGH else {"most": 0}
    check_neighbours(subject, model, **close, dims=every[0] if every else {}, **most)
    return after


def check_shared(
    subject: testing.Subject,
    model: ir.Model,
    *,
    atol: float,
    rtol: float,
    dims: testing.Dims | Iterable[testing.Dims] = (),
) -> None:
    """Demand right results where values inside have other readers, and for neighbours."""
    every = [dims] if isinstance(dims, Mapping) else list(dims)
    testing.check_shared(subject, model, atol=atol, rtol=rtol, dims=every, run=run_ort)
    check_neighbours(subject, model, atol=atol, rtol=rtol, dims=every[0] if every else {})


def check_rewrite(
    subject: testing.Subject,
    model: ir.Model,
    expected: Mapping[str, int],
    misses: Iterable[tuple[ir.Model, str]] = (),
    *,
    atol: float,
    rtol: float,
    dims: testing.Dims | Iterable[testing.Dims] = (),
) -> ir.Model:
    """`sardonyx.compiler.testing.check_rewrite`, and right results for neighbours."""
    every = [dims] if isinstance(dims, Mapping) else list(dims)
    close = {"atol": atol, "rtol": rtol}
    after = testing.check_rewrite(
        subject, model, expected, misses, **close, dims=every, run=run_ort
    )
    check_neighbours(subject, model, **close, dims=every[0] if every else {})
    return after


def check_stays(rule: Rule, model: ir.Model) -> None:
    """Demand that a rule applies too where a value inside is an output: the rule keeps it."""
    names = [v.name for node in model.graph for v in node.outputs if not v.is_graph_output()]
    assert names
    for name in names:
        shared = clone(model)
        Types.inferred(shared)
        (value,) = (v for node in shared.graph for v in node.outputs if v.name == name)
        shared.graph.outputs.append(value)
        report = apply(rule, shared)
        assert report.applied, f"{name}: {report.misses}"

"""Checks that every rewrite rule must pass: match, near miss, shared values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.rewrite import Rewriter, Rule
from tests.support.models import clone, random_feeds
from tests.support.run import check_valid, run_ort

Subject = Rule | Sequence[Rule] | Pass
Dims = Mapping[str, int]


def apply(subject: Subject, model: ir.Model) -> PassReport:
    """Run rules or a pass on a model, in place."""
    return _run(subject, Editor(model, Types.inferred(model)))


def check_unchanged(subject: Subject, model: ir.Model) -> PassReport:
    """Demand that rules or a pass leave a model as it is; return what they said."""
    copy = clone(model)
    editor = Editor(copy, Types.inferred(copy))
    before = ir.to_onnx_text(editor.model)
    report = _run(subject, editor)
    assert not any(report.applied.values()), f"it was applied: {report.applied}"
    assert editor.changes == 0
    assert ir.to_onnx_text(editor.model) == before
    return report


def _run(subject: Subject, editor: Editor) -> PassReport:
    if isinstance(subject, Pass):
        return subject.run(editor)
    rules = [subject] if isinstance(subject, Rule) else subject
    report = Rewriter(rules).run(editor)
    return PassReport(dict(report.applied), report.misses)


def counts(model: ir.Model) -> dict[str, int]:
    """How many nodes of each operator a model has, subgraphs included; Constants do not count."""
    found = Counter(node.op_type for node in model.graph.all_nodes())
    del found["Constant"]
    return dict(found)


def check_rule(
    subject: Subject,
    model: ir.Model,
    expected: Mapping[str, int],
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
) -> ir.Model:
    """Demand that rules or a pass rewrite a model to exactly these nodes, rightly and for good.

    Args:
        subject: A rule, several, or a pass.
        model: The model; it is not changed.
        expected: Number of nodes of each operator afterwards.
        atol: Largest absolute difference to the outputs before.
        rtol: Largest relative difference to the outputs before.
        dims: Lengths of the symbolic dims; several mappings check several lengths.

    Returns:
        The rewritten model.
    """
    after = clone(model)
    report = apply(subject, after)
    assert sum(map(len, report.applied.values())) > 0, f"nothing matched: {report.misses}"
    assert counts(after) == dict(expected)
    check_same(model, after, atol=atol, rtol=rtol, dims=dims)
    check_unchanged(subject, after)
    return after


def check_miss(subject: Subject, model: ir.Model, reason: str, rule: str | None = None) -> None:
    """Demand that nothing is rewritten, and that the best failed match says `reason`.

    Where `subject` is more than one rule, `rule` names the one that must say so.
    """
    after = clone(model)
    Types.inferred(after)
    before = ir.to_onnx_text(after)
    report = apply(subject, after)
    assert not any(report.applied.values()), f"it was applied: {report.applied}"
    assert ir.to_onnx_text(after) == before
    name = rule or (subject.name if isinstance(subject, Rule) else next(iter(report.misses), ""))
    assert name in report.misses, f"{name!r} found nothing like its pattern"
    assert reason in report.misses[name].why, f"it says: {report.misses[name].why}"


def check_shared(
    subject: Subject,
    model: ir.Model,
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
) -> None:
    """Demand right results where a value inside the match is a graph output or has a reader more.

    Tries it for the output of each node of the main graph in turn.
    """
    names = [v.name for node in model.graph for v in node.outputs if not v.is_graph_output()]
    assert names, "the model has no inner value to share"
    for name in names:
        for is_output in (True, False):
            changed = clone(model)
            Types.inferred(changed)
            value = next(v for n in changed.graph for v in n.outputs if v.name == name)
            if not is_output:
                reader = ir.Node("", "Identity", [value])
                reader.outputs[0].name = f"{name}_read_again"
                reader.outputs[0].type, reader.outputs[0].shape = value.type, value.shape
                changed.graph.append(reader)
                value = reader.outputs[0]
            changed.graph.outputs.append(value)
            after = clone(changed)
            apply(subject, after)
            check_same(changed, after, atol=atol, rtol=rtol, dims=dims)


def check_same(
    before: ir.Model,
    after: ir.Model,
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
) -> None:
    """Demand that two models are valid, have the same inputs and outputs, and compute the same."""
    check_valid(after)
    check_names(after)
    assert _signature(before.graph.inputs) == _signature(after.graph.inputs)
    assert _signature(before.graph.outputs) == _signature(after.graph.outputs)
    for lengths in [dims] if isinstance(dims, Mapping) else list(dims) or [{}]:
        feeds = random_feeds(before, lengths)
        wanted, got = run_ort(before, feeds), run_ort(after, feeds)
        for value, a, b in zip(before.graph.outputs, wanted, got, strict=True):
            assert a.dtype == b.dtype
            assert np.all(np.isfinite(a)), f"{value.name} is not finite: a poor test"
            np.testing.assert_allclose(b, a, atol=atol, rtol=rtol, err_msg=value.name)


def check_names(model: ir.Model) -> None:
    """Demand that no two values of a model, subgraphs included, have one name."""
    names: Counter[str] = Counter()
    for graph in (model.graph, *model.graph.subgraphs()):
        held = {*graph.inputs, *graph.initializers.values()}
        held.update(v for node in graph for v in node.outputs)
        names.update(v.name for v in held if v.name)
    assert [name for name, count in names.items() if count > 1] == []


def _signature(values: Iterable[ir.Value]) -> list[tuple[str | None, object]]:
    return [(v.name, v.dtype) for v in values]

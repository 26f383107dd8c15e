"""Compares two sides, and finds the first place where they differ."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sardonyx.compiler.divergence.judge import Judge, Look, Outputs
from sardonyx.compiler.divergence.report import Comparison, Divergence, Moment, OutputDifference
from sardonyx.compiler.divergence.search import Search, Verdict, named_nodes
from sardonyx.compiler.divergence.side import OnnxSide, Side
from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.proof.execute import Feeds


def compare(
    reference: Side, other: OnnxSide, samples: Sequence[Feeds], *, locate: bool = True
) -> Comparison:
    """Say whether two models agree within the rounding of the first, and if not, from where on.

    Args:
        reference: What is right by definition.
        other: The model that is questioned.
        samples: Inputs for both.
        locate: Look for the first place where they differ.

    Raises:
        UnsupportedError: The models have different numbers of inputs or outputs.
        ExecutionError: One of them cannot be run.
    """
    started = time.perf_counter()
    judge = Judge(reference, other)
    made = Comparison(reference.label, other.label)
    if judge.rounding is not None:
        made.notes.append(
            f"one of them computes in {judge.rounding.name.lower()}: its rounding is allowed for"
        )
    for number, sample in enumerate(samples):
        outputs = judge.outputs(sample)
        _keep_worst(made, number, outputs)
    if locate and not made.agrees:
        worst = max(made.outputs, key=lambda output: output.ratio).sample
        if len(samples) > 1:
            outputs = judge.outputs(samples[worst])
        _locate(made, judge, samples[worst], outputs)
    made.runs = judge.runs
    made.seconds = time.perf_counter() - started
    return made


def _keep_worst(made: Comparison, number: int, outputs: Outputs) -> None:
    """Keep of each output the sample for which it differs most."""
    now = [OutputDifference(d.output, d.ratio, d.why, number, d.blind) for d in outputs.differences]
    made.outputs = [
        replace(max(pair, key=lambda d: d.ratio), blind=pair[0].blind and pair[1].blind)
        for pair in zip(made.outputs or now, now, strict=True)
    ]


def _locate(made: Comparison, judge: Judge, sample: Feeds, outputs: Outputs) -> None:
    """Find the first difference for a sample, and write it into the comparison."""
    reference, other = judge.reference, judge.other
    flow = other.flow
    pairs = reference.pairs(other)
    inner = {name: key for name, key in pairs.items() if name not in other.outputs}
    made.cuts = len(inner)
    ends = [(flow.maker.get(d.output), d.ratio > 1) for d in outputs.differences]
    differing = [node for node, differs in ends if differs and node is not None]
    if not differing:
        made.unlocated = "the output is an input or a constant"
        return
    looks: dict[str, Look] = {}

    def look(name: str) -> Verdict:
        made.looks += 1
        found, results = judge.value(sample, name, inner[name])
        if found.says_nothing:
            return Verdict(None)
        looks[name] = found
        return Verdict(found.differs, not found.differs and outputs.agree(results))

    search = Search(flow, named_nodes(flow, inner), look)
    end = min(differing, key=lambda node: flow.before[node].bit_count())
    agreeing = [node for node, differs in ends if not differs and node is not None]
    try:
        first, good = search.first(end, agreeing)
    except SardonyxError as error:
        made.unlocated = " ".join(filter(None, (error.what, error.found)))
        return
    names = [str(value.name) for value in flow.nodes[first].outputs]
    last = next((looks[name] for name in names if name in looks), None)
    if last is None:
        worst = {d.output for d in outputs.differences if d.ratio > 1}
        last = outputs.look(next(name for name in names if name in worst))
    made.divergence = _tell(last, good, search, {**judge.pairs, **pairs}, judge)


def _tell(
    last: Look, good: Sequence[int], search: Search, pairs: dict[str, str], judge: Judge
) -> Divergence:
    flow, reference, other = search.flow, judge.reference, judge.other
    named = [str(v.name) for node in good for v in flow.nodes[node].outputs]
    return Divergence(
        reference=reference.describe(pairs.get(last.name, last.key)),
        model=other.describe(last.name),
        value=last.name,
        why=last.difference.why,
        ratio=last.difference.ratio,
        right=Moment.of(last.right),
        found=Moment.of(last.found),
        reference_steps=tuple(
            reference.between(
                [pairs[name] for name in named if name in pairs], pairs.get(last.name, last.key)
            )
        ),
        model_steps=tuple(other.between(named, last.name)),
        fusion=search.hiding is not None,
        set_aside=tuple(
            other.describe(str(v.name)) for node in search.aside for v in flow.nodes[node].outputs
        ),
    )

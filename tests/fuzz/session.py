"""Judges many graphs and counts."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.proof import ExecutionError, Executor, Limits
from sardonyx.compiler.rewrite import Rule
from tests.fuzz import cases
from tests.fuzz.generate import Drawn, Sample, draw
from tests.fuzz.judge import Fault, Route, Verdict, judge
from tests.fuzz.run import OnnxRuntime, Reference, Runner
from tests.fuzz.scope import Complaint, fits
from tests.fuzz.shrink import shrink
from tests.fuzz.theirs import first_difference

_LIMITS = Limits(seconds=30, memory=6 << 30, threads=1)


@dataclass
class Tally:
    """What came of many graphs.

    Attributes:
        graphs: How many there were.
        nodes: How many nodes they have.
        operators: How often each operator occurs.
        rules: How often each rule was applied.
        counts: Programs, comparisons and so on.
        faults: What the compiler did wrong, each with the graph's name.
        theirs: Differences of ONNX Runtime and the reference, with an example each.
        invalid: Why sources do not run, with an example each.
        deaths: Graphs that kill ONNX Runtime's process.
        refused: Nodes that were not taken, and why.
    """

    graphs: int = 0
    nodes: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    theirs: dict[str, list[str]] = field(default_factory=dict)
    invalid: dict[str, list[str]] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count another's graphs too."""
        self.graphs += other.graphs
        self.nodes += other.nodes
        for name in ("operators", "rules", "counts", "refused"):
            getattr(self, name).update(getattr(other, name))
        self.faults += other.faults
        self.deaths += other.deaths
        for name in ("theirs", "invalid"):
            for key, examples in getattr(other, name).items():
                getattr(self, name).setdefault(key, []).extend(examples)

    def line(self, seconds: float) -> str:
        """The state in a line."""
        return (
            f"{self.graphs} graphs, {self.nodes} nodes, {self.graphs / seconds:.1f} graphs/s, "
            f"{len(self.operators)} operators, {len(self.rules)} rules, "
            f"{len(self.faults)} mismatches, {_count(self.invalid)} invalid, "
            f"{len(self.deaths)} deaths, {_count(self.theirs)} differences of others"
        )

    def report(self, seconds: float) -> str:
        """All of it."""
        lines = [self.line(seconds)]
        lines += [f"  {name}: {count}" for name, count in sorted(self.counts.items())]
        for title, found in (
            ("ONNX Runtime and the reference differ", self.theirs),
            ("the source does not run", self.invalid),
        ):
            lines.append(f"{title}:")
            ordered = sorted(found.items(), key=lambda item: -len(item[1]))
            lines += [f"  {len(names)} x {key} ({names[0]})" for key, names in ordered]
        lines += [f"DEATH {name}" for name in self.deaths]
        lines += [f"MISMATCH {fault}" for fault in self.faults]
        return "\n".join(lines)


def _count(found: dict[str, list[str]]) -> int:
    return sum(map(len, found.values()))


def fuzz(
    seed: int, numbers: Iterable[int], rules: Sequence[Rule] = (), most_routes: int = 3
) -> Tally:
    """Judge some graphs of a seed.

    Args:
        seed: Of the random numbers.
        numbers: Which graphs.
        rules: Rules to compile with besides those of the targets.
        most_routes: For how many targets and opsets each is compiled.
    """
    tally = Tally()
    for number in numbers:
        try:
            drawn = draw(seed, number)
        except Exception:
            tally.faults.append(f"{seed}:{number} drawing: {traceback.format_exc()[-600:]}")
            continue
        _count_graph(drawn, tally)
        with Executor(_LIMITS) as executor:
            runner = _runner(drawn, executor)
            try:
                routes = _chosen(drawn, most_routes)
                verdict = judge(drawn.model, drawn.samples, routes, runner, rules)
            except Exception:
                tally.faults.append(f"{drawn.name} judging: {traceback.format_exc()[-600:]}")
                continue
            _count_verdict(drawn, verdict, runner, tally)
            for complaint in drawn.notes.complaints:
                _count_complaint(drawn, complaint, OnnxRuntime(executor), tally)
            tally.faults += [f"{drawn.name} {fault}" for fault in verdict.faults[:1]]
    return tally


def shrunk(
    seed: int,
    number: int,
    folder: Path,
    rules: Sequence[Rule] = (),
    most_routes: int = 3,
    seconds: float = 60.0,
) -> str:
    """Write a graph that fails to a folder, shrunk; return the path, or why there is none.

    Arguments are those of `fuzz`, and for how long to make it smaller.
    """
    drawn = draw(seed, number)
    with Executor(_LIMITS) as executor:
        runner = _runner(drawn, executor)
        routes = _chosen(drawn, most_routes)
        fault = next(iter(judge(drawn.model, drawn.samples, routes, runner, rules).faults), None)
        if fault is None:
            return "computes the same: a node alone has another type than was inferred"
        model, samples = _smaller(drawn, fault, runner, rules, seconds)
        faults = judge(model, samples, [fault.route], runner, rules).faults
    why = f"{drawn.name}\n{faults[0] if faults else fault}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{drawn.name.replace(':', '-')}.txt"
    path.write_text(cases.write(why, [fault.route], samples, model), encoding="utf-8")
    return str(path)


def _smaller(
    drawn: Drawn, fault: Fault, runner: Runner, rules: Sequence[Rule], seconds: float
) -> tuple[ir.Model, list[Sample]]:
    def is_bad(model: ir.Model, samples: list[Sample]) -> bool:
        try:
            verdict = judge(model, samples, [fault.route], runner, rules)
        except Exception:
            return False
        return any(f.kind == fault.kind for f in verdict.faults)

    return shrink(drawn.model, drawn.samples, is_bad, seconds)


def _runner(drawn: Drawn, executor: Executor) -> Runner:
    return OnnxRuntime(executor) if drawn.needs_kernels else Reference()


def _chosen(drawn: Drawn, most: int) -> list[Route]:
    """Some of the routes, always the same ones for a graph."""
    random = np.random.default_rng([*map(int, drawn.name.split(":")), 1])
    routes = routes_of(drawn, random)
    return [routes[i] for i in sorted(random.permutation(len(routes))[:most])]


def routes_of(drawn: Drawn, random: np.random.Generator) -> list[Route]:
    """How a graph is compiled: for each target, and for an older opset."""
    older = int(random.integers(18, 23))
    if not drawn.needs_kernels:
        return [Route("portable"), Route("portable", older)]
    target = str(random.choice(["cpu", "portable"]))
    return [Route("cpu"), Route("portable"), Route(target, older)]


def _count_graph(drawn: Drawn, tally: Tally) -> None:
    nodes = [n for n in drawn.model.graph.all_nodes() if n.op_type != "Constant"]
    nodes += [n for f in drawn.model.functions.values() for n in f]
    tally.graphs += 1
    tally.nodes += len(nodes)
    tally.operators.update(n.op_type for n in nodes if n.domain == "")
    tally.refused.update(drawn.notes.refused)
    for kind, is_so in (
        ("graphs with subgraphs", any(True for _ in drawn.model.graph.subgraphs())),
        ("graphs with functions", bool(drawn.model.functions)),
        ("graphs for the reference alone", not drawn.needs_kernels),
    ):
        tally.counts[kind] += is_so


def _count_verdict(drawn: Drawn, verdict: Verdict, runner: Runner, tally: Tally) -> None:
    tally.counts.update(verdict.counts)
    tally.rules.update(verdict.rules)
    if verdict.died:
        tally.deaths.append(f"{drawn.name}: {verdict.invalid}")
    if verdict.invalid:
        tally.invalid.setdefault(verdict.invalid[:200], []).append(drawn.name)
    if verdict.partly:
        tally.theirs.setdefault(f"refused: {verdict.partly[:160]}", []).append(drawn.name)
    for said in verdict.kernels:
        key = "a program, right by the reference, less exact by a kernel"
        tally.theirs.setdefault(key, []).append(f"{drawn.name} {said}")
    if verdict.theirs:
        key = first_difference(drawn.model, drawn.samples, runner)
        tally.theirs.setdefault(key.split(":")[0], []).append(f"{drawn.name} {key}")


def _copies(complaint: Complaint) -> bool:
    """Say whether it is a Reshape to a length that is 0 here: a known gap of inference."""
    (node,) = complaint.model.graph.node
    is_exact = any(a.name == "allowzero" and a.i for a in node.attribute)
    return node.op_type == "Reshape" and not is_exact and not complaint.feeds[node.input[1]].all()


def _count_complaint(drawn: Drawn, complaint: Complaint, runner: Runner, tally: Tally) -> None:
    """Let ONNX Runtime say whether an inferred type is wrong, or the reference."""
    if _copies(complaint):
        tally.counts["lengths that are 0, for which Reshape copies the operand's"] += 1
        return
    try:
        (outputs,) = runner.run(ir.from_proto(complaint.model), [complaint.feeds])
    except ExecutionError:
        tally.counts["nodes that ONNX Runtime refuses and the reference does not"] += 1
        return
    pairs = zip(outputs, complaint.shapes, strict=True)
    if all(shape is None or fits(x.shape, shape) for x, shape in pairs):
        tally.theirs.setdefault(complaint.what.split(":")[0] + " shape", []).append(
            f"{drawn.name} {complaint.what}"
        )
    else:
        tally.faults.append(f"{drawn.name} inference: {complaint.what}")

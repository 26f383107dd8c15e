"""Whether the compiler keeps what a graph computes: compiled for each route, run, compared."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.pipeline import compile
from sardonyx.compiler.program import Program
from sardonyx.compiler.proof import ExecutionError
from sardonyx.compiler.proof.compare import Difference
from sardonyx.compiler.proof.compare import Reference as Bounds
from sardonyx.compiler.proof.exact import EPSILON
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.rewrite import Rule
from tests.fuzz.generate import Sample
from tests.fuzz.run import Outputs, Reference, Runner

_FIRST_NOISE, _MORE_NOISE = 2, 8
_NO_REFERENCE = "No implementation for operator"
_THEIRS = 8.0
"""Kernels and numpy may differ by so many times as much as rounding explains."""


@dataclass(frozen=True)
class Route:
    """How a graph is compiled: for which target, at which opset (None: the target's)."""

    target: str
    opset: int | None = None

    def __str__(self) -> str:
        return self.target if self.opset is None else f"{self.target} {self.opset}"


@dataclass(frozen=True)
class Fault:
    """What the compiler did wrong.

    Attributes:
        kind: "answer", "error", "death" or "checker".
        route: How it was compiled.
        what: In words.
    """

    kind: str
    route: Route
    what: str

    def __str__(self) -> str:
        return f"{self.kind} on {self.route}: {self.what}"


@dataclass
class Verdict:
    """What became of a graph.

    Attributes:
        faults: What is wrong.
        invalid: Why the source does not run, if it does not.
        partly: Why it does not run on some of the samples.
        died: Whether the source kills ONNX Runtime's process.
        theirs: How ONNX Runtime and the reference differ on the source.
        kernels: Where they differ on a program, which the reference says is right.
        counts: Programs compiled, samples compared and so on.
        rules: How often each rule was applied.
    """

    faults: list[Fault] = field(default_factory=list)
    invalid: str = ""
    partly: str = ""
    died: bool = False
    theirs: list[Difference] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)


@dataclass
class _Source:
    """What a source computes and how far that may move."""

    model: ir.Model
    samples: list[Sample]
    runner: Runner
    right: Outputs
    disturbed: list[Outputs]
    reference: Outputs | None

    @property
    def names(self) -> list[str]:
        return [str(v.name) for v in self.model.graph.outputs]

    def bounds(self, index: int) -> Bounds:
        runs = [run[index] for run in self.disturbed]
        return Bounds(self.names, self.right[index], runs)

    def disturb(self, seeds: range) -> None:
        """Run it with its arithmetic disturbed, once more for each seed."""
        for noisy in _disturbed(self.model, seeds):
            self.disturbed.append(self.runner.run(noisy, self.samples))


def _disturbed(model: ir.Model, seeds: range) -> Iterator[ir.Model]:
    for seed in seeds:
        noisy = inlined(model)
        Types.inferred(noisy)
        _disturb_constants(noisy, seed)
        if add_noise(noisy, seed):
            yield noisy


def _disturb_constants(model: ir.Model, seed: int) -> None:
    """Round constants otherwise, as those do that fold them into others; whole numbers stay."""
    random = np.random.default_rng(seed)
    for value in model.graph.initializers.values():
        if value.dtype in EPSILON and value.const_value is not None:
            held = value.const_value.numpy()
            little = 2 * EPSILON[value.dtype] * random.random(held.shape)
            moved = (held.astype(np.float64) * (1 - little)).astype(held.dtype)
            value.const_value = ir.tensor(np.where(held == np.round(held), held, moved))


def judge(
    model: ir.Model,
    samples: Sequence[Sample],
    routes: Sequence[Route],
    runner: Runner,
    rules: Sequence[Rule] = (),
) -> Verdict:
    """Compile a model for each route and compare what comes out.

    Args:
        model: A valid model at opset 23; it is not changed.
        samples: Inputs to compare on.
        routes: How to compile it.
        runner: Runs models.
        rules: Rules to compile with besides those of the target.
    """
    verdict = Verdict()
    source = _begin(model, samples, runner, verdict)
    if source is None:
        return verdict
    for number, route in enumerate(routes):
        # The passes are much the same for all routes.
        level = 2 if number == 0 else 1
        program = _compiled(source, route, rules, level, verdict)
        if program is not None:
            verdict.rules.update(program.report.rules)
            _compare(source, program, route, verdict)
    return verdict


def _begin(
    model: ir.Model, samples: Sequence[Sample], runner: Runner, verdict: Verdict
) -> _Source | None:
    usable, right = _run_each(model, samples, runner, verdict)
    if not usable:
        return None
    source = _Source(model, usable, runner, right, [], None)
    try:
        source.disturb(range(_FIRST_NOISE))
    except ExecutionError:
        verdict.counts["noise does not run"] += 1
    if not isinstance(runner, Reference):
        # Attributes that functions pass on are beyond onnx 1.23 for some operators.
        source.reference = _referred(model, usable) or _referred(inlined(model), usable)
        if source.reference is None:
            verdict.counts["the reference does not run"] += 1
    if source.reference is not None:
        for index, found in enumerate(source.reference):
            differences = source.bounds(index).differences(found)
            verdict.theirs += [d for d in differences if d.ratio > _THEIRS]
    return source


def _referred(model: ir.Model, samples: Sequence[Sample]) -> Outputs | None:
    """What onnx's reference evaluator gives, None if nothing."""
    with contextlib.suppress(ExecutionError):
        return Reference().run(model, samples)
    return None


def _run_each(
    model: ir.Model, samples: Sequence[Sample], runner: Runner, verdict: Verdict
) -> tuple[list[Sample], Outputs]:
    """The samples that a source runs on, and what it gives."""
    try:
        return list(samples), runner.run(model.clone(), samples)
    except ExecutionError:
        pass
    usable: list[Sample] = []
    why = ""
    right: Outputs = []
    for sample in samples:
        try:
            right += runner.run(model.clone(), [sample])
            usable.append(sample)
        except ExecutionError as error:
            verdict.counts["samples that the source does not run on"] += 1
            verdict.died |= _is_death(error)
            why = error.found or error.what
    verdict.invalid, verdict.partly = (why, "") if not usable else ("", why)
    return usable, right


def _compiled(
    source: _Source, route: Route, rules: Sequence[Rule], level: int, verdict: Verdict
) -> Program | None:
    try:
        program = compile(
            source.model,
            route.target,
            opset=route.opset,
            rules=rules,
            verify_level=level,
            proof="off",
        )
    except UnsupportedError as error:
        if route.opset is None and not isinstance(source.runner, Reference):
            verdict.faults.append(Fault("error", route, f"{error.what} {error.found}"))
        verdict.counts["not to be had at that opset"] += 1
        return None
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        verdict.faults.append(Fault("error", route, said[:300]))
        return None
    verdict.counts["programs"] += 1
    if route.target == "portable" and _complaint(source.model) is None:
        said = _complaint(program.model)
        if said is not None:
            verdict.faults.append(Fault("checker", route, said))
    return program


def _complaint(model: ir.Model) -> str | None:
    """What onnx's checker says against a model."""
    try:
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
    except Exception as error:
        return " ".join(str(error).split())[:300]
    return None


def _compare(source: _Source, program: Program, route: Route, verdict: Verdict) -> None:
    names = [str(v.name) for v in program.model.graph.outputs]
    if names != source.names:
        verdict.faults.append(Fault("answer", route, f"outputs {names}, were {source.names}"))
        return
    for index, found in _outputs(source, program, route, verdict):
        verdict.counts["comparisons"] += len(found)
        worst = _worst(source.bounds(index), found)
        if worst is None:
            continue
        if len(source.disturbed) == _FIRST_NOISE:
            # Two draws of the noise may have missed what it can do.
            source.disturb(range(_FIRST_NOISE, _MORE_NOISE))
            worst = _worst(source.bounds(index), found)
        if worst is None:
            continue
        if _follows_reference(source, index, found):
            verdict.counts["outputs like the reference's, not ONNX Runtime's"] += 1
            continue
        if _is_behind_a_mask(source, program, index, route):
            verdict.counts[
                "samples with NaN or infinity in scores that a mask hides, or no key"
            ] += 1
            continue
        by_reference = _by_reference(program, source.samples[index])
        if by_reference is not None and _worst(source.bounds(index), by_reference) is None:
            verdict.kernels.append(f"{route}: {worst}")
            continue
        verdict.faults.append(Fault("answer", route, f"sample {index}, {worst}"))


def _outputs(
    source: _Source, program: Program, route: Route, verdict: Verdict
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The samples that a program is to run on, by number, and what it gives."""
    with contextlib.suppress(ExecutionError):
        yield from enumerate(source.runner.run(program.model.clone(), source.samples))
        return
    for index, sample in enumerate(source.samples):
        try:
            yield index, source.runner.run(program.model.clone(), [sample])[0]
        except ExecutionError as error:
            if _refuses_nothing(error, sample, program):
                verdict.counts["samples of no elements that a kernel refuses"] += 1
                continue
            if route.opset is not None and error.lacks_kernel:
                older = _by_reference(program, sample)
                if older is not None:
                    verdict.counts["samples without a kernel for the older operator"] += 1
                    yield index, older
                    continue
            if route.opset is not None and _NO_REFERENCE in (error.found or ""):
                verdict.counts["samples without a reference for the older operator"] += 1
                continue
            kind = "death" if _is_death(error) else "error"
            said = f"the program does not run: {error.found or error.what}"
            verdict.faults.append(Fault(kind, route, said[:300]))
            return


def _is_behind_a_mask(source: _Source, program: Program, index: int, route: Route) -> bool:
    """Say whether only what a mask hides makes an attention differ: docs/proof.md.

    Where hides a score that is NaN, adding a mask does not. A query that sees no key is NaN, by
    `Attention` zero, and what comes after may hide that it was NaN.
    """
    sample = source.samples[index]
    open_ = {
        name: _with_keys(x) if x.dtype.kind == "b" else _finite(x) for name, x in sample.items()
    }
    if not program.report.rules.get("scaled_dot_product") or all(
        np.array_equal(x, sample[name]) for name, x in open_.items()
    ):
        return False
    again = _begin(source.model, [open_], source.runner, Verdict())
    verdict = Verdict()
    return (
        again is not None
        and all(
            _worst(again.bounds(0), found) is None
            for _, found in _outputs(again, program, route, verdict)
        )
        and not verdict.faults
    )


def _with_keys(mask: np.ndarray) -> np.ndarray:
    """A mask whose empty rows are full."""
    return mask | ~mask.any(axis=-1, keepdims=True) if mask.ndim else mask


def _finite(array: np.ndarray) -> np.ndarray:
    is_float = array.dtype.kind == "f"
    return np.nan_to_num(array, nan=1, posinf=1, neginf=-1) if is_float else array


def _by_reference(program: Program, sample: Sample) -> list[np.ndarray] | None:
    """What onnx's reference evaluator gives for a program, None if nothing."""
    made = _referred(inlined(program.model), [sample])
    return made[0] if made else None


def _refuses_nothing(error: ExecutionError, sample: Sample, program: Program) -> bool:
    """Say whether it is what Attention says of a batch or a sequence of none.

    By ONNX Runtime, or by the reference, which looks for the largest of no scores. And what ONNX
    Runtime says of the least of no truth values, unless an axis is counted from behind.
    """
    is_empty = any(array.size == 0 for array in sample.values())
    said = ["ReduceMin is not defined for empty set", "ReduceMax is not defined for empty set"]
    if any(node.op_type == "Attention" for node in program.model.graph.all_nodes()):
        said += ["running Attention node", "zero-size array to reduction operation maximum"]
        said += ["cannot reshape array of size 0"]
    return is_empty and any(words in (error.found or "") for words in said)


def _is_death(error: ExecutionError) -> bool:
    return (error.found or "").startswith(("signal ", "exit code "))


def _worst(bounds: Bounds, found: Sequence[np.ndarray]) -> Difference | None:
    differences = [d for d in bounds.differences(found) if d.ratio > 1]
    return max(differences, key=lambda d: d.ratio, default=None)


def _follows_reference(source: _Source, index: int, found: Sequence[np.ndarray]) -> bool:
    """Say whether each output is either ONNX Runtime's or the reference's, where they differ."""
    if source.reference is None:
        return False
    sample = [source.samples[index]]
    try:
        noise = [
            Reference().run(noisy, sample)[0]
            for noisy in _disturbed(source.model, range(_FIRST_NOISE))
        ]
    except ExecutionError:
        noise = []
    theirs = source.bounds(index).differences(found)
    reference = Bounds(source.names, source.reference[index], noise).differences(found)
    return all(min(a.ratio, b.ratio) <= 1 for a, b in zip(theirs, reference, strict=True))


def clone(model: ir.Model) -> ir.Model:
    """A copy that shares nothing."""
    return ir.from_proto(ir.to_proto(model))


def inlined(model: ir.Model) -> ir.Model:
    """A copy without functions."""
    copy = clone(model)
    return ir.passes.common.InlinePass()(copy).model if copy.functions else copy

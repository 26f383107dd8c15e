"""Model files of others, each compiled and compared: `python -m tests.conformance.files FOLDER`.

A file is loaded, compiled for the targets `cpu` and `portable`, checked by onnx and run on inputs
that are made up; what comes out is compared with the file itself, run by ONNX Runtime with its
optimisations off or by onnx's reference evaluator, within what the file's own rounding explains.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from sardonyx import frontends
from sardonyx.compiler import compile
from sardonyx.compiler.errors import RewriteError, SardonyxError, UnsupportedError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.proof import Executor, Limits
from sardonyx.compiler.proof.begin import is_random
from sardonyx.compiler.proof.compare import Reference as Bounds
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.proof.samples import SIZES, generate
from tests.fuzz.crew import Crew, Failure
from tests.fuzz.judge import inlined
from tests.fuzz.run import Outputs, Reference, widened
from tests.fuzz.values import Array

TARGETS = ("cpu", "portable")
_MOST_SECONDS = 300.0
_SEEDS = range(8)

Sample = dict[str, Array]


@dataclass(frozen=True)
class Job:
    """A file, and whether it is compiled once more under proof."""

    path: Path
    is_proven: bool


@dataclass
class Outcome:
    """What became of a file.

    Attributes:
        kind: "right"; "wrong", "invalid", "error" or "death", which are faults; "refused", by us;
            "not run", by nobody, or "random".
        why: In words.
    """

    kind: str
    why: str = ""


FAULTS = ("wrong", "invalid", "error", "death")


def judge(job: Job) -> Outcome:
    """Say what becomes of a file."""
    path = job.path
    with Executor(Limits(seconds=120, threads=1)) as executor:
        try:
            model = frontends.from_onnx(path)
        except Exception as error:
            return _refusal("loading", error, _runs(path, executor))
        original = ir.load(path)
        # ONNX Runtime does not mind another order.
        original.graph.sort()
        ran = _run(original, inlined(model), executor)
        is_run = isinstance(ran, _Ran) and ran.by == "ONNX Runtime"
        for target in TARGETS:
            try:
                program = compile(model, target, proof="off").model
            except Exception as error:
                # What is ONNX Runtime's own has no place in a file for every runtime.
                is_own = target == "portable" and isinstance(error, UnsupportedError)
                return _refusal(target, error, is_run and not is_own)
            found = _fault(original, program, ran, executor)
            if found is None and is_run and job.is_proven:
                found = _unproven(model, target, ran)
            if found is not None:
                return Outcome(found.kind, f"{target}: {found.why}")
    if isinstance(ran, str):
        return Outcome("not run", ran)
    return Outcome("random" if any(map(is_random, model.graph.all_nodes())) else "right")


def _refusal(when: str, error: Exception, is_run: bool) -> Outcome:
    """A refusal is right where it is one, and ONNX Runtime does not run the file either."""
    is_one = isinstance(error, SardonyxError) and not isinstance(error, RewriteError)
    kind = "refused" if is_one and not is_run else "error"
    return Outcome(kind, f"{when}: {type(error).__name__}: {_line(error)}")


def _fault(
    original: ir.Model, program: ir.Model, ran: _Ran | str, executor: Executor
) -> Outcome | None:
    said = _complaint(program)
    if said is not None and _complaint(original) is None:
        return Outcome("invalid", said)
    if isinstance(ran, str) or any(map(is_random, original.graph.all_nodes())):
        return None
    said = _difference(program, ran, executor)
    return Outcome("wrong", said) if said is not None else None


def _unproven(model: ir.Model, target: str, ran: _Ran) -> Outcome | None:
    """What the proof finds, which compares with ONNX Runtime's optimisations too."""
    try:
        proof = compile(model, target, proof="end", samples=ran.samples).proof
    except Exception as error:
        return Outcome("error", f"proof: {type(error).__name__}: {_line(error)}")
    if proof is not None and proof.incidents:
        return Outcome("wrong", f"the proof undid {proof.incidents[0]}")
    return None


def _runs(path: Path, executor: Executor) -> bool:
    """Say whether ONNX Runtime runs a file that is refused."""
    try:
        model = ir.load(path)
        return not isinstance(_attempt(executor, model, [generate(model, SIZES[0])]), str)
    except Exception:
        return False


@dataclass
class _Ran:
    """What a file gives: by whom, on which inputs, and how far that may move."""

    by: str
    original: ir.Model
    typed: ir.Model
    samples: list[Sample]
    right: Outputs
    names: list[str]
    disturbed: list[Outputs] = field(default_factory=list)


def _run(original: ir.Model, typed: ir.Model, executor: Executor) -> _Ran | str:
    """Run a file on the first inputs that it accepts."""
    names = [str(v.name) for v in original.graph.outputs]
    why = ""
    try:
        Types.inferred(typed)
    except SardonyxError as error:
        return _line(error)
    for samples in _made_up(typed):
        if isinstance(samples, str):
            return why or samples
        ours = _attempt(executor, original, samples)
        if not isinstance(ours, str):
            return _Ran("ONNX Runtime", original, typed, samples, ours, names)
        theirs = _attempt(None, original, samples)
        if not isinstance(theirs, str):
            return _Ran("reference", original, typed, samples, theirs, names)
        why = why or f"{ours} | {theirs}"
    return why


def _made_up(model: ir.Model) -> Iterator[list[Sample] | str]:
    """Yield inputs to try, or why there are none; then some with ones in the place of integers."""
    for are_ones in (False, True):
        for seed, sizes in enumerate(SIZES):
            try:
                samples = [generate(model, sizes, seed), generate(model, sizes, seed + 100)]
            except SardonyxError as error:
                yield _line(error)
                return
            if are_ones:
                samples = [{n: _ones(x) for n, x in sample.items()} for sample in samples]
            yield samples


def _ones(array: Array) -> Array:
    return np.ones_like(array) if array.dtype.kind in "iu" else array


def _attempt(
    executor: Executor | None, model: ir.Model, samples: Sequence[Sample]
) -> Outputs | str:
    try:
        if executor is None:
            return Reference().run(model, samples)
        held = [{n: widened(x) for n, x in sample.items()} for sample in samples]
        return executor.run(model.clone(), held)
    except Exception as error:
        return _line(error)


def _disturbed(typed: ir.Model, samples: list[Sample], executor: Executor) -> list[Outputs]:
    made = []
    for seed in _SEEDS:
        noisy = typed.clone()
        add_noise(noisy, seed)
        found = _attempt(executor, noisy, samples)
        made += [found] if not isinstance(found, str) else []
    return made


def _difference(program: ir.Model, ran: _Ran, executor: Executor) -> str | None:
    """Say how a program differs from its file, if it does."""
    names = [str(v.name) for v in program.graph.outputs]
    if names != ran.names:
        return f"outputs {names}, were {ran.names}"
    found = _attempt(executor if ran.by == "ONNX Runtime" else None, program, ran.samples)
    if isinstance(found, str):
        return f"it does not run any more: {found}"
    said = _far(ran, ran.right, found)
    if said is None or ran.by != "ONNX Runtime":
        return said
    ran.disturbed = _disturbed(ran.typed, ran.samples, executor)
    said = _far(ran, ran.right, found)
    if said is None:
        return None
    # ONNX Runtime and the reference may differ: what is like one of them is right.
    theirs = _attempt(None, ran.original, ran.samples)
    return said if isinstance(theirs, str) or _far(ran, theirs, found) else None


def _far(ran: _Ran, right: Outputs, found: Outputs) -> str | None:
    """Say which output is farther from what is right than rounding explains."""
    for index, outputs in enumerate(found):
        bounds = Bounds(ran.names, right[index], [run[index] for run in ran.disturbed])
        bad = [d for d in bounds.differences(outputs) if d.ratio > 1]
        if bad:
            return f"sample {index}, {max(bad, key=lambda d: d.ratio)}"
    return None


def _complaint(model: ir.Model) -> str | None:
    try:
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
    except Exception as error:
        return _line(error)
    return None


def _line(error: Exception) -> str:
    if isinstance(error, SardonyxError):
        parts = (error.what, error.where, error.found)
        return " ".join(" ".join(filter(None, map(str, parts))).split())[:300]
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def main() -> int:
    """Judge all files of some folders; the exit status says whether any is a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.files", description=__doc__)
    parser.add_argument("places", type=Path, nargs="+", help="files, or folders of files")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--proof", action="store_true", help="compile each under proof as well")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = [Job(p, options.proof) for place in options.places for p in _files(place)]
    queue = iter(jobs)
    kinds: Counter[str] = Counter()
    started = time.monotonic()
    with Crew(options.jobs, judge, _MOST_SECONDS) as crew:
        done = crew.results(lambda: next(queue, None), until=float("inf"), grace=0.0)
        for job, made in done:
            outcome = Outcome("death", made.why) if isinstance(made, Failure) else made
            kinds[outcome.kind] += 1
            if outcome.kind != "right":
                print(f"{outcome.kind} {job.path}: {outcome.why}", flush=True)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    print(f"{len(jobs)} files in {time.monotonic() - started:.0f} s: {counts}")
    return int(any(kinds[kind] for kind in FAULTS))


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.onnx")) if place.is_dir() else [place]


if __name__ == "__main__":
    sys.exit(main())

"""From a source model to a program: the order of the passes, with the reasons for it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError, UnsupportedError
from sardonyx.compiler.explanation import Explanation, Tracker
from sardonyx.compiler.export import TUNING, best_opset, note
from sardonyx.compiler.ir.calls import inline_calls
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.opset import raise_opset
from sardonyx.compiler.passes.base import ApplyRules
from sardonyx.compiler.passes.canonicalize import Canonicalize
from sardonyx.compiler.passes.convert_precision import ConvertPrecision
from sardonyx.compiler.passes.cse import ShareCommonSubexpressions
from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from sardonyx.compiler.passes.fold_constants import FoldConstants
from sardonyx.compiler.passes.fold_shapes import FoldShapes
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.infer_types import InferTypes
from sardonyx.compiler.passes.inline_if import InlineIf
from sardonyx.compiler.passes.layout import AssignLayouts
from sardonyx.compiler.passes.lift_constants import LiftConstants
from sardonyx.compiler.passes.lower import Lower
from sardonyx.compiler.passes.manager import PassManager, Repeat, Step, count_nodes
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.passes.select import Select
from sardonyx.compiler.passes.share_weights import ShareWeights
from sardonyx.compiler.program import Program, Report
from sardonyx.compiler.proof import Executor, Limits, Plan, Proof, Prover, begin, level_of
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules.select import AFTER_LAYOUT
from sardonyx.compiler.targets import PORTABLE, Target, find_target

_LIMITS = Limits()

CLEAN_UP = Repeat(
    (
        # What the round before folded may have made more shapes known.
        InferTypes(),
        # Rules see constants only once they are initializers and folded.
        FoldConstants(),
        InlineIf(),
        # Shape arithmetic reads constants, and leaves Reshapes that canonicalisation merges.
        FoldShapes(),
        Canonicalize(),
        # Nodes are equal only if their small constants are the same value.
        ShareWeights(most_bytes=1024),
        ShareCommonSubexpressions(),
        RemoveDeadCode(),
    )
)


def pipeline(
    target: Target,
    rules: Sequence[Rule] = (),
    *,
    opset: int = CANONICAL_OPSET,
    precision: str | None = None,
) -> tuple[Step, ...]:
    """Return the passes of a target, in order.

    Args:
        target: What models are compiled for.
        rules: Rules of a user's own, to be applied among them.
        opset: Opset of the standard domain that the file will have.
        precision: Half precision to compute in, "fp16" or "bf16"; None keeps that of the model.
    """
    return (*_recognition(rules), *_choice(target, opset, precision))


def _recognition(rules: Sequence[Rule]) -> tuple[Step, ...]:
    """Return the passes that are the same for every target."""
    recognize = Recognize()
    return (
        LiftConstants(),
        # Recognition and fusion need canonical neighbours.
        CLEAN_UP,
        recognize,
        # A recognised operator leaves shape arithmetic behind that led to its parts.
        CLEAN_UP,
        # Folded constants may show another activation, and a norm another scale to fold.
        Repeat((recognize, Fuse())),
        # They see what a model computes by its one operator, folded as far as it can be.
        *([ApplyRules(tuple(rules))] if rules else ()),
    )


def _choice(target: Target, opset: int, precision: str | None) -> tuple[Step, ...]:
    """Return the passes that depend on what a model is compiled for."""
    ordered = [name for name in target.selections if name in AFTER_LAYOUT]
    return (
        # Constants are folded in the precision of the model, and rounded once. Which operators a
        # target prefers depends on their dtype.
        *((ConvertPrecision(precision, target.kernels_in(precision, opset)),) if precision else ()),
        # No rule of before looks for what a target wants operators replaced by.
        Select(tuple(name for name in target.selections if name not in ordered)),
        # What a target has chosen is not lowered; the scale of an attention goes into its linears.
        *((Lower(opset), Fuse()) if opset < CANONICAL_OPSET else ()),
        # The cut is taken over the final set of operators: no fusion is lost to a transpose.
        AssignLayouts(),
        # Where transposes are gone, a softmax may run over another axis than before.
        Select(tuple(ordered)),
        CLEAN_UP,
        # Last: equal weights become visible once all folding is done.
        ShareWeights(),
    )


DEFAULT = pipeline(PORTABLE)
"""The passes of a target that chooses nothing of its own."""


@runtime_checkable
class HasIr(Protocol):
    """A model in another form that can give its onnx_ir model, as a DSL model can."""

    def to_ir(self) -> ir.Model:
        """Return the model in the IR."""


def compile(
    model: ir.Model | HasIr,
    target: str | Target = "cpu",
    *,
    opset: int | None = None,
    precision: str | None = None,
    layout: str | None = None,
    rules: Sequence[Rule] = (),
    steps: Sequence[Step] | None = None,
    verify_level: int = 1,
    explain: bool = False,
    proof: str | None = None,
    samples: Sequence[Mapping[str, object]] = (),
    repros: str | os.PathLike[str] | None = None,
    proof_limits: Limits = _LIMITS,
    tune: Callable[[Program], str] | None = None,
    on_pass: Callable[[str], None] = lambda _: None,
) -> Program:
    """Optimise a model for a target. The model that is given stays as it is.

    What the passes make is compared with the source on sample inputs, each output within what the
    rounding of the source itself explains. A change that alters the answer is found, undone and
    reported in `Program.proof`; compilation goes on without it.

    Args:
        model: An onnx_ir model, as the frontends return it, or a DSL model. One of an older opset
            is brought to the canonical one first.
        target: Name of a target, or a target.
        opset: Opset of the standard domain in the exported file; by default the target's.
        precision: "fp16" or "bf16", where the target computes in it: most of the model is
            converted; inputs and outputs keep their dtypes. By default nothing is.
        layout: "nhwc" or "nchw", where the target can be asked for it: images are computed with
            their channels last, or as they are. By default the target chooses.
        rules: Rewrite rules of your own; the target's pipeline applies them once it has
            recognised and fused what it can, before it looks for what the target prefers.
        steps: The passes, in order, in the place of the target's pipeline.
        verify_level: 0 off, 1 at stage borders, 2 after every pass, 3 after every rewrite.
        explain: Also say, in `Program.explanation`, what became of each site where a fusion can
            be expected; the program is the same.
        proof: How often to compare: "off"; "end", once; "pass", after every pass; "rewrite",
            after every change. By default what the environment variable SARDONYX_PROOF says, or
            "pass".
        samples: Inputs to compare on, each a mapping from input names to arrays. By default those
            that the model was captured with; without such, they are made up from its inputs.
        repros: Folder that takes a minimal model for each change that had to be undone.
        proof_limits: Seconds, memory and threads of each comparison, which runs in a process of
            its own.
        tune: Called with the finished program; what it returns is kept in the artifact, for the
            session that loads it: `sardonyx.runtime.Tuner(seconds=60)` measures settings.
        on_pass: Called with the name of each pass before it runs.

    Raises:
        InvalidModelError: The model is not well-formed.
        ExecutionError: It does not run on the samples that are given.
        UnsupportedError: It cannot be had for this target or opset.
        RewriteError: A pass broke its contract; that is a bug of the pass.
    """
    plan_level = level_of(proof)
    chosen = find_target(target) if isinstance(target, str) else target
    chosen.check_opset(opset)
    chosen.check_precision(precision)
    _check_steps(steps, rules, precision)
    _check_rules(rules)
    started = time.perf_counter()
    source = _source_of(model)
    editor = _editor_of(source, verify_level)
    # It depends on dtypes, which the source may not tell.
    chosen = chosen.with_layout(layout, editor.model, precision)
    tracker = Tracker(editor) if explain else None

    def before_pass(name: str) -> None:
        if tracker is not None:
            tracker.before_pass(name)
        on_pass(name)

    with _beginning(
        editor, chosen, plan_level, samples, repros=repros, limits=proof_limits
    ) as evidence:
        prover = evidence if isinstance(evidence, Prover) else None
        run = prover.run if prover is not None else None
        manager = PassManager(editor, verify_level, before_pass, run)
        if steps is None:
            manager.run(_recognition(rules))
            # What is recognised may have kernels at older opsets only.
            wanted = best_opset(editor.model, chosen, opset) or CANONICAL_OPSET
            steps = _choice(chosen, wanted, precision)
        records = manager.run(steps)
        if prover is not None:
            prover.settle()
        editor.model.metadata_props["sardonyx.stage"] = "core"
        if verify_level >= 1:
            verify(editor.model, stage="core")
        report = Report(tuple(records), time.perf_counter() - started, count_nodes(source))
        program = Program.legalised(editor.model, chosen, opset, report, source)
        if prover is not None:
            prover.finish(program.model)
    told = tracker.explanation() if tracker else None
    return _told(replace(program, explanation=told), evidence, tune)


def _told(
    program: Program, evidence: Prover | Proof, tune: Callable[[Program], str] | None
) -> Program:
    """Note in a finished program what is known of it: the proof, and what tuning finds."""
    found = evidence.proof if isinstance(evidence, Prover) else evidence
    if found.level != "off":
        note(program.model, "proof", found.summary())
    program = replace(program, proof=found)
    if tune is not None:
        program.model.metadata_props[TUNING] = tune(program)
    return program


def _check_steps(
    steps: Sequence[Step] | None, rules: Sequence[Rule], precision: str | None
) -> None:
    """Refuse what only the target's own pipeline would heed."""
    if steps is not None and rules:
        raise UnsupportedError(
            "Either rules or steps can be given.",
            remedy="put passes.ApplyRules(rules) among the steps",
        )
    if steps is not None and precision is not None:
        raise UnsupportedError(
            "Either a precision or steps can be given.",
            found=f"precision {precision!r}",
            remedy="put passes.convert_precision.ConvertPrecision(precision) among the steps",
        )


def _source_of(model: ir.Model | HasIr) -> ir.Model:
    source = model.to_ir() if isinstance(model, HasIr) else model
    if not isinstance(source, ir.Model):
        raise UnsupportedError(
            "There is nothing to compile.",
            found=f"a {type(source).__name__}",
            expected="an onnx_ir.Model or a DSL model",
            remedy="use sardonyx.frontends.from_torch or from_onnx first",
        )
    return source


def _editor_of(source: ir.Model, verify_level: int) -> Editor:
    """Return an editor of a copy without functions."""
    if verify_level >= 1:
        # An ill-formed graph can be neither copied nor inferred.
        verify(source)
    working = source.clone()
    if "" in working.opset_imports:
        # Before functions are inlined: a body may be of another opset than the model.
        working = raise_opset(working)
    working = _inlined(working)
    _drop_trailing_gaps(working)
    # A copy has none of it; the samples that a frontend left are there.
    working.meta.update(source.meta)
    # Rules count on shapes, and nobody checked those that a file declares of its outputs.
    editor = Editor(working, Types.inferred(working, keeps_declared=False))
    if verify_level >= 1:
        verify(working)
    return editor


@contextlib.contextmanager
def _beginning(
    editor: Editor,
    target: Target,
    level: str,
    samples: Sequence[Mapping[str, object]],
    *,
    repros: str | os.PathLike[str] | None,
    limits: Limits,
) -> Iterator[Prover | Proof]:
    """Yield what proves the passes right, or why nothing does."""
    if level == "off":
        yield Proof(level)
        return
    with Executor(limits) as executor:
        plan = Plan(target, level, executor, Path(repros) if repros is not None else None)
        yield begin(editor, plan, samples)


def explain(
    model: ir.Model | HasIr,
    target: str | Target = "cpu",
    *,
    rules: Sequence[Rule] = (),
    steps: Sequence[Step] | None = None,
) -> Explanation:
    """Return what became, when it is compiled, of each site of a model that can be fused.

    Arguments and errors are those of `compile`.
    """
    program = compile(model, target, rules=rules, steps=steps, explain=True)
    assert program.explanation is not None
    return program.explanation


def _check_rules(rules: object) -> None:
    given = rules if isinstance(rules, Sequence) and not isinstance(rules, str) else [rules]
    wrong = [each for each in given if not isinstance(each, Rule)]
    if wrong or given is not rules:
        name = f"the rule {rules.name!r} alone" if isinstance(rules, Rule) else None
        raise UnsupportedError(
            "What is given as rules is no sequence of rules.",
            found=name or repr(wrong[0]),
            expected="a list of what sardonyx.compiler.rewrite.rule returns",
        )


def _drop_trailing_gaps(model: ir.Model) -> None:
    """Drop operands at the end that are left out by an empty name, as PyTorch's exporter writes."""
    for node in model.graph.all_nodes():
        while node.inputs and node.inputs[-1] is None:
            node.resize_inputs(len(node.inputs) - 1)


def _inlined(model: ir.Model) -> ir.Model:
    """Inline model-local functions, so that passes see through them."""
    try:
        inline_calls(model)
    except ValueError as error:
        raise SardonyxError("The model's functions cannot be inlined.", found=str(error)) from error
    return model

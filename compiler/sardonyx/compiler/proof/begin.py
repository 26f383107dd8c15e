"""Starts a proof: decides on its level, finds samples that the source runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError, UnsupportedError
from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ops import Trait, has_trait
from sardonyx.compiler.proof.execute import DisturbedError, ExecutionError
from sardonyx.compiler.proof.plan import LEVELS, Plan
from sardonyx.compiler.proof.prover import Prover
from sardonyx.compiler.proof.report import Proof
from sardonyx.compiler.proof.samples import SIZES, checked, generate

VARIABLE = "SARDONYX_PROOF"
"""The environment variable that says the level where a call does not."""

SAMPLES = "sardonyx.samples"
"""Where a frontend leaves the inputs that a model was captured with, in `Model.meta`."""


def level_of(asked: str | None) -> str:
    """Return the level of a proof: what is asked for, what the environment says, or "pass".

    Raises:
        UnsupportedError: There is no such level.
    """
    level = asked if asked is not None else os.environ.get(VARIABLE, "pass")
    if level not in LEVELS:
        raise UnsupportedError(
            "There is no such level of proof.", found=repr(level), expected=", ".join(LEVELS)
        )
    return level


def begin(editor: Editor, plan: Plan, given: Sequence[Mapping[str, object]] = ()) -> Prover | Proof:
    """Return a prover of the model, or why there is none.

    Args:
        editor: The model's editor; the model is the source as yet.
        plan: How to do it, without samples.
        given: Samples of the user's; where there are none, they are taken from the frontend, or
            made up.

    Raises:
        UnsupportedError: Samples of the user's do not fit.
        ExecutionError: The source does not run on samples of the user's.
    """
    model = editor.model
    random = _random_operator(model)
    if random is not None:
        return Proof(plan.level, unchecked=f"{random} gives other numbers each time")
    if given:
        samples = [checked(sample, model, number) for number, sample in enumerate(given)]
        try:
            return Prover(editor, replace(plan, samples=samples))
        except DisturbedError as error:
            return Proof(plan.level, unchecked=f"{error.what} {error.found}")
    why = ""
    for made in _made_up(model):
        if isinstance(made, str):
            why = made
            continue
        try:
            return Prover(editor, replace(plan, samples=made))
        except SardonyxError as error:
            why = " ".join(filter(None, (error.what, error.found)))
            if isinstance(error, ExecutionError) and error.is_final:
                break
    return Proof(plan.level, unchecked=why)


def _made_up(model: ir.Model) -> Iterator[list[dict[str, Array]] | str]:
    """Yield sets of samples to try, in order, or why one cannot be had."""
    dims = (d for v in model.graph.inputs for d in v.shape or ())
    is_dynamic = any(isinstance(d, ir.SymbolicDim) for d in dims)
    held: list[dict[str, Array]] = []
    try:
        held = [checked(s, model, number) for number, s in enumerate(model.meta.get(SAMPLES) or ())]
    except UnsupportedError as error:
        yield _words(error)
    if held and is_dynamic:
        # What holds at the sizes that it was captured with may not hold at others.
        yield _generated(model, SIZES[0], held=held)
    if held:
        yield held
    for seed, lengths in enumerate(SIZES if is_dynamic else SIZES[:1]):
        yield _generated(model, lengths, seed)


def _generated(
    model: ir.Model,
    lengths: tuple[int, ...],
    seed: int = 0,
    held: Sequence[dict[str, Array]] = (),
) -> list[dict[str, Array]] | str:
    try:
        return [*held, generate(model, lengths, seed)]
    except UnsupportedError as error:
        return _words(error)


def _words(error: UnsupportedError) -> str:
    return " ".join(filter(None, (error.what, error.where, error.found)))


def _random_operator(model: ir.Model) -> str | None:
    return next((n.op_type for n in model.graph.all_nodes() if is_random(n)), None)


def is_random(node: ir.Node) -> bool:
    """Say whether a node gives other numbers each time."""
    if node.op_type == "Dropout" and not node.domain:
        mode = node.inputs[2] if len(node.inputs) > 2 else None
        trains = constants.array(mode) if mode is not None else np.array(False)
        if trains is not None and not trains.any():
            return False
    return has_trait(node, Trait.RANDOM) and "seed" not in node.attributes

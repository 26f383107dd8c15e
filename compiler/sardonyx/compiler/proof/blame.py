"""Finds the one change that makes a model wrong, by halving."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir.edit import Change, Editor, Snapshot
from sardonyx.compiler.passes.base import Pass
from sardonyx.compiler.proof.compare import Difference

IsBad = Callable[[ir.Model], Difference | None]
"""Returns how a model differs from what it should be, or None."""


@dataclass(frozen=True)
class Suspect:
    """The first change after which a model is wrong.

    Attributes:
        pass_name: The pass that made it.
        change: What was done.
        difference: What came out otherwise.
        before: The model without it.
        after: The model with it.
    """

    pass_name: str
    change: Change
    difference: Difference
    before: ir.Model
    after: ir.Model


class Halt(BaseException):
    """Ends a pass between two changes; nothing in between catches it."""

    def __init__(self, worst: Difference | None = None) -> None:
        super().__init__()
        self.worst = worst if worst is not None else Difference("", "", 0.0)


@dataclass
class _Replay:
    """A model after so many changes of some passes, and the last of them."""

    model: ir.Model
    pass_name: str = ""
    change: Change | None = None
    changes: int = 0


def replay(
    passes: Sequence[Pass],
    snapshot: Snapshot,
    quarantined: Collection[tuple[str, str]],
    most: int | None = None,
) -> _Replay:
    """Return the model after the first `most` changes that passes make; None for all of them."""
    editor = Editor.at(snapshot)
    editor.quarantined = set(quarantined)
    state = _Replay(editor.model)
    if most == 0:
        return state

    def count(change: Change) -> None:
        state.changes += 1
        state.change = change
        if state.changes == most:
            raise Halt

    editor.listeners.append(count)
    try:
        for each in passes:
            state.pass_name = each.name
            each.run(editor)
    except Halt:
        pass
    return state


def first_bad(
    passes: Sequence[Pass],
    snapshot: Snapshot,
    quarantined: Collection[tuple[str, str]],
    is_bad: IsBad,
) -> Suspect | None:
    """Return the change that makes the model wrong; None where a repetition comes out right.

    Needs a number of runs of the model that is the logarithm of the number of changes.

    Args:
        passes: What was run, in order.
        snapshot: The model before; it is right.
        quarantined: What was not applied, as in `Editor.quarantined`.
        is_bad: Compares a model with what it should be.
    """
    whole = replay(passes, snapshot, quarantined)
    difference = is_bad(whole.model)
    if difference is None:
        return None
    good, bad = 0, whole.changes
    while bad - good > 1:
        middle = (good + bad) // 2
        found = is_bad(replay(passes, snapshot, quarantined, middle).model)
        if found is None:
            good = middle
        else:
            bad, difference = middle, found
    last = replay(passes, snapshot, quarantined, bad)
    if last.change is None:
        return None
    before = replay(passes, snapshot, quarantined, good).model
    return Suspect(last.pass_name, last.change, difference, before, last.model)

"""Runs passes: times each, verifies after it, and checks that what it says it did is true."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from sardonyx.compiler.errors import RewriteError, SardonyxError
from sardonyx.compiler.ir.edit import Change, Editor
from sardonyx.compiler.ir.scope import graphs_in
from sardonyx.compiler.ir.structure import Fingerprint, fingerprint
from sardonyx.compiler.ir.text import check_round_trip
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.rewrite import Miss


@dataclass(frozen=True)
class PassRecord:
    """One run of one pass.

    Attributes:
        name: Name of the pass.
        seconds: Wall time.
        nodes_before: Nodes of all graphs before it.
        nodes_after: Nodes of all graphs after it.
        applied: How often each rule or kind of change was applied.
        misses: For each rule its failed match that came furthest.
    """

    name: str
    seconds: float
    nodes_before: int
    nodes_after: int
    applied: dict[str, int] = field(default_factory=dict)
    misses: dict[str, Miss] = field(default_factory=dict)


@dataclass(frozen=True)
class Repeat:
    """Passes that are run in turn until a whole round changes nothing.

    Attributes:
        passes: The passes of one round, in order.
        most: Rounds after which it is an error to go on.
    """

    passes: tuple[Pass, ...]
    most: int = 20


Step = Pass | Repeat


class PassManager:
    """Runs the steps of a pipeline on one model.

    Args:
        editor: The model's editor.
        level: Verification: 0 off, 1 at stage borders (the caller's part), 2 after every pass,
            3 after every single change, with a text round trip after every pass.
        on_pass: Called before each run of a pass, with its name.
        run: Runs a pass on the editor; by default it is just run.
    """

    def __init__(
        self,
        editor: Editor,
        level: int = 1,
        on_pass: Callable[[str], None] = lambda _: None,
        run: Callable[[Pass], PassReport] | None = None,
    ) -> None:
        self.editor = editor
        self.level = level
        self.records: list[PassRecord] = []
        self._on_pass = on_pass
        self._run_one = run or (lambda each: each.run(editor))
        self._idle: dict[int, tuple[int, int]] = {}
        """For each pass (by identity) that changed nothing when it last ran, the state then."""
        self._print: Fingerprint | None = None
        if level >= 3:
            editor.listeners.append(self._verify_change)

    def run(self, steps: Sequence[Step]) -> list[PassRecord]:
        """Run the steps in order.

        Raises:
            RewriteError: A pass broke the graph, or changed it outside the editor, or a Repeat
                does not end.
        """
        self._idle.clear()
        self._print = None
        for step in steps:
            if isinstance(step, Repeat):
                self._repeat(step)
            else:
                self._run_pass(step)
        return self.records

    def _repeat(self, step: Repeat) -> None:
        for _ in range(step.most):
            before = self.editor.changes
            for each in step.passes:
                self._run_pass(each)
            if self.editor.changes == before:
                return
        raise RewriteError(
            f"The passes still change the model after {step.most} rounds.",
            found=", ".join(p.name for p in step.passes),
            remedy="look for two passes that undo each other",
        )

    def _run_pass(self, each: Pass) -> None:
        changes, state = self.editor.changes, self.editor.state
        if self.level < 2 and self._idle.get(id(each)) == state:
            # Passes are deterministic: it would change nothing again.
            return
        self._on_pass(each.name)
        if self.level >= 2 and self._print is None:
            self._print = fingerprint(self.editor.model)
        nodes_before = (
            self.records[-1].nodes_after if self.records else count_nodes(self.editor.model)
        )
        started = time.perf_counter()
        report = self._run_one(each)
        seconds = time.perf_counter() - started
        if self.level >= 2:
            self._check(each, state)
        is_idle = self.editor.changes == changes
        if is_idle:
            self._idle[id(each)] = self.editor.state
        applied = {name: len(sites) for name, sites in report.applied.items() if sites}
        self.records.append(
            PassRecord(
                each.name,
                seconds,
                nodes_before,
                nodes_before if is_idle else count_nodes(self.editor.model),
                applied,
                report.misses,
            )
        )

    def _check(self, each: Pass, before: tuple[int, int]) -> None:
        print_before, self._print = self._print, fingerprint(self.editor.model)
        is_changed = self._print != print_before
        if is_changed and self.editor.changes == before[0]:
            raise RewriteError(
                f"Pass {each.name!r} changed the model outside the editor.",
                remedy="change graphs through sardonyx.compiler.ir.edit.Editor only",
            )
        if not is_changed and self.editor.state == before and self.records:
            # It was verified after the pass before.
            return
        try:
            verify(self.editor.model)
            if self.level >= 3:
                check_round_trip(self.editor.model)
        except SardonyxError as error:
            raise RewriteError(f"Pass {each.name!r} broke the graph: {error}") from error

    def _verify_change(self, change: Change) -> None:
        try:
            verify(self.editor.model)
        except SardonyxError as error:
            what = f"{change.rule} broke the graph at {change.site}: {error}"
            raise RewriteError(what) from error


def count_nodes(model: ir.Model) -> int:
    """Return the number of nodes of a model, those of subgraphs included."""
    return sum(len(graph) for graph in graphs_in(model.graph))

"""Checks passes on sample inputs; what changes the answer is found, undone and reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.export import legalise
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.proof.blame import Suspect, first_bad
from sardonyx.compiler.proof.compare import Difference, Reference
from sardonyx.compiler.proof.execute import ExecutionError, Executor, Feeds
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.proof.report import Check, Incident, Proof
from sardonyx.compiler.proof.repro import write_repro
from sardonyx.compiler.targets import Target

LEVELS = ("off", "end", "pass", "rewrite")

_NOISE_RUNS = 2
_MOST_SITES = 3
"""A rule that was wrong at so many places is not applied any more."""

_MOST_INCIDENTS = 50
"""After so many of them it is given up."""


class Prover:
    """Compares a model with its source while passes change it.

    Args:
        editor: The model's editor; the model is the source as yet.
        target: What it is compiled for.
        samples: Inputs to compare on; the source runs on them.
        executor: Runs models.
        level: "end", "pass" or "rewrite".
        repros: Folder for models that show what went wrong; None writes none.

    Raises:
        ExecutionError: The source cannot be run on the samples.
    """

    def __init__(
        self,
        editor: Editor,
        target: Target,
        samples: Sequence[Feeds],
        executor: Executor,
        level: str,
        repros: Path | None = None,
    ) -> None:
        self.proof = Proof(level, len(samples))
        self._editor = editor
        self._target = target
        self._samples = samples
        self._executor = executor
        self._repros = repros
        self._skipped: set[str] = set()
        self._sites: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()
        self._since: list[Pass] = []
        self._source = editor.model.clone()
        self._kept = editor.snapshot()
        self._references = self._refer(None)

    def run(self, each: Pass) -> PassReport:
        """Run a pass, and keep of it what keeps the answer."""
        if each.name in self._skipped:
            return PassReport()
        changes = self._editor.changes
        report = each.run(self._editor)
        if self._editor.changes == changes:
            return report
        self._since.append(each)
        if each.name == "convert_precision":
            self._expect_rounding(each)
        if self.proof.level == "end":
            return report
        return self._settle(each.name) or report

    def finish(self, final: ir.Model) -> None:
        """Compare what is exported, as ONNX Runtime optimises it.

        Args:
            final: The model at stage target.
        """
        worst = self._check("export", final.clone(), optimised=True, is_legal=True)
        if worst is not None:
            action = "nothing was undone: the passes keep the answer, the export or ONNX Runtime's"
            self._report_only("export", str(worst), f"{action} own optimisations do not")

    def settle(self) -> None:
        """Compare the model as the passes left it, and undo what changed the answer."""
        if self._since:
            self._settle("all passes")

    def _settle(self, after: str) -> PassReport | None:
        """Compare; undo until it is right. Returns what the last pass did if it had to run anew."""
        report = None
        for _ in range(_MOST_INCIDENTS):
            worst = self._check(after, self._editor.model)
            if worst is None:
                self._kept = self._editor.snapshot()
                self._since.clear()
                return report
            report = self._undo(worst)
        raise SardonyxError(
            "The passes keep changing the model's answer.",
            found="; ".join(dict.fromkeys(i.rule for i in self.proof.incidents)),
            remedy="report it, with the model",
        )

    def _check(
        self, after: str, model: ir.Model, *, optimised: bool = False, is_legal: bool = False
    ) -> Difference | None:
        """Compare a model with the source and note it; returns the worst difference, if bad."""
        started = time.perf_counter()
        worst = self._worst(model, optimised=optimised, is_legal=is_legal)
        seconds = time.perf_counter() - started
        self.proof.checks.append(Check(after, worst.ratio, seconds))
        self.proof.seconds += seconds
        return worst if worst.ratio > 1 else None

    def _worst(self, model: ir.Model, *, optimised: bool = False, is_legal: bool = False) -> Difference:
        try:
            legal = model if is_legal else legalise(model, self._target)
            results = self._executor.run(legal, self._samples, optimised=optimised)
        except SardonyxError as error:
            why = " ".join(filter(None, (error.what, error.found)))
            return Difference("", f"it cannot be run any more: {why}", float("inf"))
        found = [
            difference
            for reference, outputs in zip(self._references, results, strict=True)
            for difference in reference.differences(outputs)
        ]
        return max(found, key=lambda difference: difference.ratio)

    def _is_bad(self, model: ir.Model) -> Difference | None:
        worst = self._worst(model)
        return worst if worst.ratio > 1 else None

    def _undo(self, worst: Difference) -> PassReport:
        """Find what made the model wrong, and do the passes again without it."""
        quarantined = self._editor.quarantined
        suspect = first_bad(self._since, self._kept, quarantined, self._is_bad)
        if suspect is None:
            self._skip(self._since[-1].name, "", "", worst)
        else:
            self._quarantine(suspect)
        self._editor.restore(self._kept)
        report = PassReport()
        for each in self._since:
            report = PassReport() if each.name in self._skipped else each.run(self._editor)
        return report

    def _quarantine(self, suspect: Suspect) -> None:
        rule, value = suspect.change.rule, suspect.change.value
        if (rule, value) in self._seen or not value:
            # Only rules can be told to leave a place alone.
            self._skip(suspect.pass_name, rule, suspect.change.site, suspect.difference)
            return
        self._seen.add((rule, value))
        self._sites[rule] += 1
        is_hopeless = self._sites[rule] >= _MOST_SITES
        self._editor.quarantined.add((rule, "" if is_hopeless else value))
        action = "it was undone"
        if is_hopeless:
            action = f"it was undone, and as it was wrong at {_MOST_SITES} places, not applied again"
        repro = None
        if self._repros is not None:
            repro = write_repro(suspect, self._samples[0], self._executor, self._target, self._repros)
        where, said = suspect.change.site, str(suspect.difference)
        self.proof.incidents.append(
            Incident(suspect.pass_name, rule, where, said, action, repro)
        )

    def _skip(self, pass_name: str, rule: str, site: str, worst: Difference) -> None:
        self._skipped.add(pass_name)
        action = "the pass was undone, and is not run again"
        self.proof.incidents.append(Incident(pass_name, rule, site, str(worst), action))

    def _report_only(self, pass_name: str, difference: str, action: str) -> None:
        self.proof.incidents.append(Incident(pass_name, "", "the model", difference, action))

    def _expect_rounding(self, each: Pass) -> None:
        """From now on the model computes in half precision, as it was asked to."""
        from sardonyx.compiler.passes.convert_precision import PRECISIONS

        self._references = self._refer(PRECISIONS[getattr(each, "precision")])

    def _refer(self, rounding: ir.DataType | None) -> list[Reference]:
        """Run the source, as it is and with its arithmetic disturbed."""
        names = [str(v.name) for v in self._source.graph.outputs]
        right = self._executor.run(legalise(self._source, self._target), self._samples)
        disturbed = []
        for seed in range(_NOISE_RUNS):
            noisy = self._source.clone()
            Types.inferred(noisy)
            add_noise(noisy, seed, rounding)
            disturbed.append(self._executor.run(legalise(noisy, self._target), self._samples))
        return [
            Reference(names, outputs, [run[index] for run in disturbed])
            for index, outputs in enumerate(right)
        ]

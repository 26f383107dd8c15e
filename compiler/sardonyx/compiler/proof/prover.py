"""Checks passes on sample inputs; what changes the answer is found, undone and reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import onnx_ir as ir

from sardonyx.compiler.errors import RewriteError, SardonyxError
from sardonyx.compiler.export import SESSION, legalise, switch_off
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.edit import Change, Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.passes.convert_precision import PRECISIONS, ConvertPrecision
from sardonyx.compiler.proof.blame import Halt, Suspect, first_bad, replay
from sardonyx.compiler.proof.compare import Difference, Reference
from sardonyx.compiler.proof.execute import DisturbedError, ExecutionError
from sardonyx.compiler.proof.noise import add_noise
from sardonyx.compiler.proof.optimizers import culprit
from sardonyx.compiler.proof.plan import Plan
from sardonyx.compiler.proof.report import EXPORT, Check, Incident, Proof
from sardonyx.compiler.proof.repro import write_repro

_NOISE_RUNS, _MORE_NOISE_RUNS = 2, 8
"""How often the source is disturbed at first, and before anything is blamed."""

_MOST_SITES = 3
"""A rule that was wrong at so many places is not applied any more."""

_MOST_INCIDENTS = 50
"""After so many of them it is given up."""

_PASSES = "the passes keep the answer, the export or ONNX Runtime's own optimisations do not"
_LOAD = 'load it with graph_optimization="off", and report it'


class Prover:
    """Compares a model with its source while passes change it.

    Args:
        editor: The model's editor; the model is the source as yet.
        plan: How to do it.

    Raises:
        DisturbedError: The source cannot be run on the samples when it is rounded otherwise.
        ExecutionError: It cannot be run on them.
    """

    def __init__(self, editor: Editor, plan: Plan) -> None:
        self.proof = Proof(plan.level, len(plan.samples))
        self._editor = editor
        self._plan = plan
        self._skipped: set[str] = set()
        self._sites: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()
        self._since: list[Pass] = []
        self._source = editor.model.clone()
        self._kept = editor.snapshot()
        self._rounding: ir.DataType | None = None
        self._references = self._refer(_NOISE_RUNS)
        self._has_more_noise = False

    def run(self, each: Pass) -> PassReport:
        """Run a pass, and keep of it what keeps the answer."""
        if each.name in self._skipped:
            return PassReport()
        if self.proof.unchecked:
            return each.run(self._editor)
        if self.proof.level == "rewrite":
            return self._run_by_change(each)
        changes = self._editor.changes
        report = each.run(self._editor)
        self._since.append(each)
        self._follow(each)
        is_compared = self.proof.level != "end" and not self.proof.unchecked
        if self._editor.changes == changes or not is_compared:
            return report
        return self._settle(each.name) or report

    def _run_by_change(self, each: Pass) -> PassReport:
        """Run a pass and compare after each of its changes."""
        for _ in range(_MOST_INCIDENTS):
            changes: list[Change] = []

            def look(change: Change, seen: list[Change] = changes) -> None:
                seen.append(change)
                worst = self._check(change.rule, lambda: self._plan.outputs(self._editor.model))
                if worst is not None and not isinstance(each, ConvertPrecision):
                    raise Halt(worst)

            self._editor.listeners.append(look)
            try:
                report = each.run(self._editor)
            except Halt as halt:
                done = replay([each], self._kept, self._editor.quarantined, len(changes) - 1)
                made = (done.model, self._editor.model.clone())
                self._quarantine(Suspect(each.name, changes[-1], halt.worst, *made))
                self._editor.restore(self._kept)
                if each.name in self._skipped:
                    return PassReport()
                continue
            finally:
                self._editor.listeners.remove(look)
            self._follow(each)
            if changes:
                self._kept = self._editor.snapshot()
            return report
        raise self._endless()

    def _follow(self, each: Pass) -> None:
        """Expect what a pass was asked for: half precision rounds more."""
        if isinstance(each, ConvertPrecision):
            self._rounding = PRECISIONS[each.precision]
            self._has_more_noise = False
            self._refer_anew(_NOISE_RUNS, f"after {each.name}: ")

    def finish(self, final: ir.Model) -> None:
        """Compare what is exported, as ONNX Runtime optimises it.

        An optimiser of ONNX Runtime that changes the answer is switched off, where the file has
        settings for its session.

        Args:
            final: The model at stage target; its metadata may be changed.
        """
        worst = self._check(EXPORT, lambda: self._optimised(final))
        if worst is None:
            return
        wrong = culprit(final, lambda tried: self._worst(lambda: self._optimised(tried)).ratio <= 1)
        did = f"{wrong} of ONNX Runtime did it" if wrong else _PASSES
        if wrong and SESSION in final.metadata_props:
            switch_off(final, [wrong])
            self._report_only(str(worst), f"{did}; the file has its session leave it out")
            self._check(EXPORT, lambda: self._optimised(final))
        else:
            load = f'load it with disabled_optimizers=["{wrong}"]' if wrong else _LOAD
            self._report_only(str(worst), f"{did}; nothing was undone: {load}")

    def _optimised(self, final: ir.Model) -> list[list[Array]]:
        return self._plan.executor.run(final.clone(), self._plan.samples, level="all")

    def settle(self) -> None:
        """Compare the model as the passes left it, and undo what changed the answer."""
        if self._since and not self.proof.unchecked:
            self._settle("all passes")

    def _settle(self, after: str) -> PassReport | None:
        """Compare; undo until it is right. Returns what the last pass did if it had to run anew."""
        report = None
        for _ in range(_MOST_INCIDENTS):
            worst = self._check(after, lambda: self._plan.outputs(self._editor.model))
            if worst is None:
                self._kept = self._editor.snapshot()
                self._since.clear()
                return report
            report = self._undo(worst)
        raise self._endless()

    def _endless(self) -> SardonyxError:
        return RewriteError(
            "The passes keep changing the model's answer.",
            found=", ".join(dict.fromkeys(i.rule for i in self.proof.incidents)),
            remedy="report it, with the model",
        )

    def _check(self, after: str, outputs: Callable[[], list[list[Array]]]) -> Difference | None:
        """Compare outputs with the source's and note it; returns the worst difference, if bad."""
        if self.proof.unchecked:
            return None
        started = time.perf_counter()
        worst = self._worst(outputs)
        seconds = time.perf_counter() - started
        if self.proof.unchecked:
            self.proof.unchecked = f"after {after}: {self.proof.unchecked}"
            return None
        self.proof.checks.append(Check(after, worst.ratio, seconds))
        self.proof.seconds += seconds
        return worst if worst.ratio > 1 else None

    def _worst(self, outputs: Callable[[], list[list[Array]]]) -> Difference:
        try:
            results = outputs()
        except SardonyxError as error:
            why = " ".join(filter(None, (error.what, error.found)))
            if isinstance(error, ExecutionError) and error.lacks_kernel:
                self.proof.unchecked = why
                return Difference("", why, 0.0)
            return Difference("", f"it cannot be run any more: {why}", float("inf"))
        worst = self._farthest(results)
        if worst.ratio > 1 and not self._has_more_noise:
            # A few draws of the noise may have missed what it can do.
            self._has_more_noise = True
            self._refer_anew(_MORE_NOISE_RUNS)
            worst = self._farthest(results)
        return worst

    def _farthest(self, results: list[list[Array]]) -> Difference:
        found = [
            difference
            for reference, ours in zip(self._references, results, strict=True)
            for difference in reference.differences(ours)
        ]
        nothing = Difference("", "there is nothing to compare", 0.0)
        return max(found, key=lambda difference: difference.ratio, default=nothing)

    def _is_bad(self, model: ir.Model) -> Difference | None:
        worst = self._worst(lambda: self._plan.outputs(model))
        return worst if worst.ratio > 1 else None

    def _undo(self, worst: Difference) -> PassReport:
        """Find what made the model wrong, and do the passes again without it."""
        quarantined = self._editor.quarantined
        kept = [each for each in self._since if each.name not in self._skipped]
        suspect = first_bad(kept, self._kept, quarantined, self._is_bad)
        if suspect is not None:
            self._quarantine(suspect)
        elif kept:
            self._skip(kept[-1].name, "", "", worst)
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
            action += f"; as it was wrong at {_MOST_SITES} places, it is not applied any more"
        repro = write_repro(suspect, self._plan) if self._plan.repros is not None else None
        where, said = suspect.change.site, str(suspect.difference)
        self.proof.incidents.append(Incident(suspect.pass_name, rule, where, said, action, repro))

    def _skip(self, pass_name: str, rule: str, site: str, worst: Difference) -> None:
        self._skipped.add(pass_name)
        action = "the pass was undone, and is not run again"
        self.proof.incidents.append(Incident(pass_name, rule, site, str(worst), action))

    def _report_only(self, difference: str, action: str) -> None:
        self.proof.incidents.append(Incident(EXPORT, "", "the model", difference, action))

    def _refer_anew(self, draws: int, when: str = "") -> None:
        """Run the source again; where rounding decides whether it runs, end comparing."""
        try:
            self._references = self._refer(draws)
        except DisturbedError as error:
            self.proof.unchecked = f"{when}{error.what} {error.found}"

    def _refer(self, draws: int) -> list[Reference]:
        """Run the source, as it is and with its arithmetic disturbed."""
        names = [str(v.name) for v in self._source.graph.outputs]
        right = self._plan.outputs(self._source)
        disturbed = []
        for seed in range(draws):
            noisy = legalise(self._source, self._plan.target)
            Types.inferred(noisy)
            add_noise(noisy, seed, self._rounding)
            try:
                disturbed.append(self._plan.executor.run(noisy, self._plan.samples))
            except ExecutionError as error:
                raise DisturbedError(error) from error
        references = [
            Reference(names, outputs, [run[index] for run in disturbed])
            for index, outputs in enumerate(right)
        ]
        self.proof.outputs = len(names)
        self.proof.blind = {
            name: why[0]
            for name, *why in zip(names, *(each.blind for each in references), strict=True)
            if all(why)
        }
        return references

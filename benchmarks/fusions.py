"""Measures each fusion on a small model: compiled without it and with it, timed in turn.

python -m benchmarks.fusions --names gelu attention --rounds 9
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.artifacts import Settings
from benchmarks.child import Child, ContenderError
from benchmarks.contenders import ARTIFACT
from benchmarks.fusion_models import FUSIONS, Fusion
from benchmarks.machine import describe
from benchmarks.ratios import in_turn, ratio, relative_error
from benchmarks.run import store
from sardonyx.compiler.errors import SardonyxError
from sardonyx.compiler.ir.signature import CANONICAL_OPSET
from sardonyx.compiler.passes.base import Pass, RulePass
from sardonyx.compiler.passes.fuse import AFFINE, Fuse
from sardonyx.compiler.passes.lower import Lower
from sardonyx.compiler.passes.manager import Repeat, Step
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.pipeline import compile, pipeline
from sardonyx.compiler.program import Program
from sardonyx.compiler.rewrite import Rule
from sardonyx.compiler.rules import movement, norm, parallel
from sardonyx.compiler.targets import Target, find_target

console = Console()
STAGES: dict[str, Sequence[Rule]] = {
    "affine": AFFINE,
    "post_norm": norm.POST_NORM,
    "parallel": parallel.RULES,
    "movement": movement.RULES,
}
LEFT_OUT: dict[str, type[Pass]] = {"recognize": Recognize, "lower": Lower}
SIDES = ("before", "after")
RULE_PASSES = ("recognize", "fuse", "select", "lower")


def target_of(fusion: Fusion, side: str, name: str | None = None) -> Target:
    """The target of a fusion, or the one of that name, with or without what is measured."""
    target = find_target(name or fusion.target)
    if fusion.stage == "settings":
        assert target.session is not None
        others = tuple(n for n in target.session.disabled_optimizers if n != fusion.optimizer)
        off = others if side == "before" else (*others, fusion.optimizer)
        return replace(target, session=replace(target.session, disabled_optimizers=off))
    if fusion.stage != "select":
        return target
    others = tuple(name for name in target.selections if name != fusion.selection)
    if side == "before":
        return replace(target, selections=others)
    is_chosen = fusion.selection in target.selections
    return target if is_chosen else replace(target, selections=(*others, fusion.selection))


def steps_without(steps: Sequence[Step], stage: str) -> Iterator[Step]:
    """The steps of a pipeline but for one stage of rules."""
    for step in steps:
        if isinstance(step, Repeat):
            yield Repeat(tuple(steps_without(step.passes, stage)))
        elif isinstance(step, Fuse) and stage in STAGES:
            left = tuple(rules for rules in Fuse.stages if rules is not STAGES[stage])
            yield type("FuseLess", (RulePass,), {"name": "fuse", "stages": left})()
        elif not isinstance(step, LEFT_OUT.get(stage, ())):
            yield step


def programs(
    fusion: Fusion, target_name: str | None = None, precision: str | None = None
) -> dict[str, Program]:
    """The model compiled without the fusion and with it."""
    made = {}
    for side in SIDES:
        target = target_of(fusion, side, target_name)
        steps = pipeline(target, opset=fusion.opset or CANONICAL_OPSET, precision=precision)
        if side == "before":
            steps = tuple(steps_without(steps, fusion.stage))
        # The two programs are compared with each other below.
        made[side] = compile(
            fusion.model(),
            target,
            opset=fusion.opset,
            steps=steps,
            proof="off",
        )
    return made


def applied(made: dict[str, Program]) -> dict[str, int]:
    """What fused after and not before, by the name of the rule."""
    rules: dict[str, Counter[str]] = {side: Counter() for side in SIDES}
    for side, program in made.items():
        for record in program.report.passes:
            if record.name in RULE_PASSES:
                rules[side].update(record.applied)
    return dict(rules["after"] - rules["before"])


def feeds(model: ir.Model) -> dict[str, np.ndarray]:
    """Seeded random inputs."""
    rng = np.random.default_rng(7)
    return {
        value.name: rng.standard_normal(value.shape.numpy()).astype(value.dtype.numpy())
        for value in model.graph.inputs
        if not value.is_initializer()
    }


class Race:
    """The two programs of one fusion, each in a process of its own."""

    def __init__(
        self, name: str, made: dict[str, Program], settings: Settings, contender: str
    ) -> None:
        self.settings = settings
        self._temporary = tempfile.TemporaryDirectory(prefix="fusion-")
        self.folder = Path(self._temporary.name)
        self.children: dict[str, Child] = {}
        np.savez(self.folder / "inputs.npz", **feeds(made["before"].model))
        for side, program in made.items():
            place = self.folder / side
            place.mkdir()
            program.save(place / ARTIFACT)
            setup = {
                "model": name,
                "contender": contender,
                "folder": str(place),
                "source": None,
                "threads": settings.threads,
                "device": settings.device,
                "precision": settings.precision,
            }
            self.children[side] = Child(setup, place / "log")

    def __enter__(self) -> Race:
        return self

    def __exit__(self, *exception: object) -> None:
        for child in self.children.values():
            child.close()
        self._temporary.cleanup()

    def _ask(self, side: str, do: str, **arguments: Any) -> dict[str, Any]:
        return self.children[side].ask(do, self.settings.timeout, **arguments)

    def error(self) -> float:
        """Load both; how far their outputs are apart."""
        outputs = []
        for side in SIDES:
            self._ask(side, "load", inputs=str(self.folder / "inputs.npz"))
            place = self.folder / f"{side}.npz"
            self._ask(side, "run", outputs=str(place))
            with np.load(place, allow_pickle=False) as stored:
                outputs.append([stored[name] for name in stored.files])
        return relative_error(*outputs)

    def run(self) -> dict[str, list[float]]:
        """Median milliseconds of both, round by round; who begins alternates."""

        def time(side: str) -> float:
            return float(self._ask(side, "time", seconds=self.settings.seconds)["median_ms"])

        return in_turn(SIDES, self.settings.rounds, time)


class Trial:
    """One fusion on its way through the measurement.

    Attributes:
        record: Times, ratio, what was applied, nodes, error; or the reason why there are none.
    """

    def __init__(self, name: str, settings: Settings, contender: str) -> None:
        self.name, self.settings, self.contender = name, settings, contender
        self.fusion = FUSIONS[name]
        self.target = "cuda" if settings.device == "cuda" else self.fusion.target
        self.record: dict[str, Any] = {
            "stage": self.fusion.stage,
            "target": self.target,
            "shape": self.fusion.shape,
        }
        self.race: Race | None = None

    def load(self) -> None:
        """Compile both sides and start their processes."""
        fusion, record = self.fusion, self.record
        precision = None if self.settings.precision == "fp32" else self.settings.precision
        try:
            made = programs(fusion, self.target, precision)
            nodes = {side: sum(1 for _ in made[side].model.graph.all_nodes()) for side in SIDES}
            record |= {"rules": applied(made), "nodes": [nodes[side] for side in SIDES]}
            if not record["rules"] and fusion.stage != "settings":
                record["failure"] = "no rule was applied"
                return
            self.race = Race(self.name, made, self.settings, self.contender)
            record["relative_error"] = self.race.error()
        except (ContenderError, SardonyxError, ValueError) as error:
            record["failure"] = str(error)[:300]

    def time(self) -> None:
        """Time both sides, in turn, and end them."""
        if self.race is None:
            return
        with self.race:
            if "failure" in self.record:
                return
            try:
                rounds = self.race.run()
            except ContenderError as error:
                self.record["failure"] = str(error)[:300]
                return
        self.record["median_ms"] = [float(np.median(rounds[side])) for side in SIDES]
        found = ratio(rounds["before"], rounds["after"])
        assert found is not None
        self.record["ratio"] = vars(found)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Each fusion, without it and with it, in turn.")
    parser.add_argument("--names", nargs="+", choices=FUSIONS, metavar="NAME")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp32")
    parser.add_argument("--graphs", action="store_true", help="replay CUDA graphs")
    parser.add_argument("--at-once", type=int, default=1, help="fusions loaded at the same time")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.3, help="per turn")
    parser.add_argument("--timeout", type=float, default=120.0, help="per command")
    parser.add_argument("--list", action="store_true", help="list the fusions")
    parser.add_argument("--dry", action="store_true", help="compile and race, store nothing")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure what the options ask for; records of other fusions that are stored stay."""
    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    variants = ["fp16"] * (settings.precision == "fp16") + ["graphs"] * options.graphs
    path = report.RESULTS / f"{'-'.join(['fusions', settings.device, *variants])}.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    # Targets that need another device than this are left out.
    possible = [n for n, row in FUSIONS.items() if options.device in ("cuda", row.target)]
    chosen = options.names or possible
    kept = {n: r for n, r in stored.get("fusions", {}).items() if n in FUSIONS and options.names}
    result = {"settings": asdict(settings), "machine": describe(), "fusions": kept}
    contender = "sardonyx_graphs" if options.graphs else "sardonyx"
    trials = [Trial(name, settings, contender) for name in chosen]
    for start in range(0, len(trials), settings.at_once):
        together = trials[start : start + settings.at_once]
        with ThreadPoolExecutor(settings.at_once) as pool:
            list(pool.map(Trial.load, together))
        for trial in together:
            tell(trial.name)
            trial.time()
            kept[trial.name] = trial.record
            if not options.dry:
                store(path, result)
    return result


def show(records: dict[str, dict[str, Any]]) -> None:
    """The records on the terminal."""
    table = Table("fusion", "shape", "ms", "times faster", "nodes", "rules")
    for name, record in records.items():
        table.add_row(*report.fusion_cells(name, record))
    console.print(table)


def main() -> None:
    """The command."""
    options = parse()
    if options.list:
        console.print(
            "\n".join(f"{name}: {row.stage}, {row.shape}" for name, row in FUSIONS.items())
        )
        return
    # The parser of ONNX text warns of each initializer.
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)
    with console.status("") as status:
        result = run(options, status.update)
    show(result["fusions"])
    if not options.dry:
        report.write()


if __name__ == "__main__":
    main()

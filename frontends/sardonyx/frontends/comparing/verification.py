"""A model compared with its source at several sizes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sardonyx.compiler import divergence
from sardonyx.compiler.divergence import Comparison, OnnxSide, OutputDifference, Side
from sardonyx.compiler.errors import SardonyxError, UnsupportedError
from sardonyx.compiler.proof.report import blind_rows
from sardonyx.compiler.proof.samples import generate
from sardonyx.frontends.comparing.sample import (
    Sample,
    checked_samples,
    examples,
    lengths_in,
    size_cases,
)


@dataclass(frozen=True)
class Case:
    """The comparison on one set of inputs.

    Attributes:
        inputs: Which they are: "made up", "the examples", "sample 0".
        sizes: The dynamic dims.
        outputs: How each output differs.
        problem: Why the model does not run on them, though the source does; empty if it does.
        skipped: Why they say nothing: the source does not run on them; empty if it does.
    """

    inputs: str
    sizes: dict[str, int]
    outputs: tuple[OutputDifference, ...] = ()
    problem: str = ""
    skipped: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the model does what the source does, as far as that does anything."""
        return not self.problem and all(output.agrees for output in self.outputs)

    @property
    def title(self) -> str:
        """What to call it."""
        sizes = ", ".join(f"{name}={size}" for name, size in self.sizes.items())
        return f"{self.inputs}, {sizes}" if sizes else self.inputs


@dataclass
class Verification:
    """Whether a model does what its source does.

    Attributes:
        model: What the model is called.
        against: What the source is called.
        cases: The comparison on each set of inputs.
        comparison: The closer look at the first case that differs, if one does.
        seconds: What all took.
    """

    model: str
    against: str
    cases: list[Case] = field(default_factory=list)
    comparison: Comparison | None = None
    seconds: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether it agrees in every case."""
        return all(case.agrees for case in self.cases)

    @property
    def blind(self) -> dict[str, str]:
        """Outputs of which agreement says nothing in any case, as zeros, and why."""
        return {of[0].name: of[0].blind for of in self._outputs if all(o.blind for o in of)}

    @property
    def says_nothing(self) -> bool:
        """Whether agreement says nothing of any output."""
        return len(self.blind) == len(self._outputs)

    @property
    def _outputs(self) -> list[tuple[OutputDifference, ...]]:
        """Each output, as it is in the cases that ran."""
        return list(zip(*(case.outputs for case in self.cases if case.outputs), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, strings, lists and dicts."""
        return {
            "agrees": self.agrees,
            "model": self.model,
            "against": self.against,
            "cases": [
                {
                    "inputs": case.inputs,
                    "sizes": case.sizes,
                    "agrees": case.agrees,
                    "outputs": [output.to_dict() for output in case.outputs],
                    "problem": case.problem,
                    "skipped": case.skipped,
                }
                for case in self.cases
            ],
            "blind": self.blind,
            "comparison": self.comparison.to_dict() if self.comparison else None,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        rows = [row for case in self.cases for row in _rows(case)]
        lines = [f"{self.model} against {self.against}", *map("  {}".format, _aligned(rows))]
        if self.comparison is not None:
            lines.append(str(self.comparison))
        lines += blind_rows(self.blind)
        agrees = "agrees, but no output says anything" if self.says_nothing else "agrees"
        return "\n".join([*lines, agrees if self.agrees else "does not agree"])


_HEAD = ("inputs", "output", "of its noise", "difference")


def _rows(case: Case) -> Iterator[tuple[str, ...]]:
    """Yield what to say of one set of inputs, in columns."""
    failure = case.problem or case.skipped
    if failure:
        yield (case.title, "", "", failure)
        return
    for output in case.outputs:
        yield (case.title, output.name, f"{output.ratio:.4g}", output.why)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield a head and rows, with columns that are as wide as what is in them."""
    table = [_HEAD, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def run_cases(
    source: Side, model: OnnxSide, samples: Sequence[Mapping[str, Any]], *, locate: bool
) -> Verification:
    """Compare on each set of inputs, and look closer at the first that differs.

    Raises:
        UnsupportedError: The source runs on none of them.
    """
    started = time.perf_counter()
    made = Verification(model.label, source.label)
    for inputs, sizes, sample in _inputs(source, model, samples):
        case = _case(inputs, sizes, sample, source, model)
        made.cases.append(case)
        if locate and not case.agrees and not case.problem and made.comparison is None:
            made.comparison = divergence.compare(source, model, [sample])
    if all(case.skipped for case in made.cases):
        raise UnsupportedError(
            "The source runs on no inputs that were tried.",
            where=source.label,
            found=made.cases[-1].skipped,
            remedy="give samples of your own",
        )
    made.seconds = time.perf_counter() - started
    return made


def _inputs(
    source: Side, model: OnnxSide, samples: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, int], Sample]]:
    """Yield inputs, with what to call them and the sizes of the dynamic dims."""
    for number, given in enumerate(checked_samples(samples, source, model)):
        yield f"sample {number}", lengths_in(given, model), given
    held = examples(source, model)
    traced = {} if held is None else lengths_in(held, model)
    if held is not None:
        yield "the examples", traced, held
    for seed, sizes in enumerate(size_cases(model, traced)):
        yield "made up", sizes, generate(model.model, (2,), seed, sizes)


def _case(
    inputs: str, sizes: dict[str, int], sample: Sample, source: Side, model: OnnxSide
) -> Case:
    try:
        source.run(source.fit(sample))
    except Exception as error:  # A module raises what it likes.
        return Case(inputs, sizes, skipped=f"the source does not run on it: {_said(error)}")
    try:
        compared = divergence.compare(source, model, [sample], locate=False)
    except SardonyxError as error:
        return Case(inputs, sizes, problem=_said(error))
    return Case(inputs, sizes, tuple(compared.outputs))


def _said(error: Exception) -> str:
    if isinstance(error, SardonyxError):
        return " ".join(filter(None, (error.what, error.found)))
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"

"""What a comparison found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.proof.report import blind_rows

_MOST_SHOWN = 12


@dataclass(frozen=True)
class Moment:
    """What is known of the elements of a value.

    Attributes:
        shape: Its shape.
        dtype: Its dtype.
        least: Its least element, as those below of the finite ones; None where there is none.
        mean: Their mean.
        largest: The largest.
        not_finite: How many elements are NaN or infinite.
    """

    shape: tuple[int, ...]
    dtype: str
    least: float | None
    mean: float | None
    largest: float | None
    not_finite: int

    @classmethod
    def of(cls, array: Array) -> Moment:
        """Return what is known of an array."""
        dtype, shape = str(array.dtype), tuple(array.shape)
        if array.dtype.kind not in "fiub":
            return cls(shape, dtype, None, None, None, 0)
        numbers = array.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        missing = numbers.size - finite.size
        if not finite.size:
            return cls(shape, dtype, None, None, None, missing)
        figures = (float(finite.min()), float(finite.mean()), float(finite.max()))
        return cls(shape, dtype, *figures, missing)

    def __str__(self) -> str:
        text = f"{self.dtype}{list(self.shape)}"
        if self.mean is not None:
            text += f" from {self.least:.6g} to {self.largest:.6g}, mean {self.mean:.6g}"
        return text + (f", {self.not_finite} NaN or infinite" if self.not_finite else "")


@dataclass(frozen=True)
class OutputDifference:
    """How one output of the models differs, for the sample where it differs most.

    Attributes:
        name: Its name.
        ratio: The difference as a part of what rounding explains; above one they do not agree.
        why: What differs, in words.
        sample: The number of the sample.
        blind: Why agreement says nothing of it; empty where it does for some sample.
    """

    name: str
    ratio: float
    why: str
    sample: int
    blind: str = ""

    @property
    def agrees(self) -> bool:
        """Whether rounding explains it."""
        return self.ratio <= 1

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers and strings."""
        return {**vars(self), "ratio": _number(self.ratio), "agrees": self.agrees}


@dataclass(frozen=True)
class Divergence:
    """The first place where two models differ.

    Attributes:
        reference: The value in the model that is right by definition, in its author's words.
        model: The value in the other model.
        value: Name of the value in the other model.
        why: What differs, in words.
        ratio: The difference as a part of what rounding explains there.
        right: What the value is.
        found: What it is in the other model.
        reference_steps: What computes it in the reference from values that agree.
        model_steps: What computes it in the other model.
        fusion: The difference is gone when the value has to be kept: it is made where ONNX
            Runtime fuses what gives the value with what reads it.
        set_aside: Values that differ before it but after which all agrees.
    """

    reference: str
    model: str
    value: str
    why: str
    ratio: float
    right: Moment
    found: Moment
    reference_steps: tuple[str, ...]
    model_steps: tuple[str, ...]
    fusion: bool = False
    set_aside: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, strings, lists and dicts."""
        made = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("reference_steps", "model_steps", "set_aside"):
            made[name] = list(made[name])
        sides = {"right": _plain(self.right), "found": _plain(self.found)}
        return {**made, **sides, "ratio": _number(self.ratio)}

    def __str__(self) -> str:
        head = "first difference" if not self.fusion else "lost when ONNX Runtime fuses"
        rows = [
            f"{head}: {self.reference}",
            f"  in the other model: {self.model}",
            f"  {self.why}",
            f"  right: {self.right}",
            f"  found: {self.found}",
        ]
        if self.fusion:
            rows[2] = "  the outputs agree when this value is kept, and differ when it is not"
        for label, steps in (
            ("computed by", self.reference_steps),
            ("there by", self.model_steps),
        ):
            if steps:
                rows.append(f"  {label}: {_short(steps)}")
        rows += [f"  set aside, as all agrees after it: {each}" for each in self.set_aside]
        return "\n".join(rows)


@dataclass
class Comparison:
    """Whether two models compute the same.

    Attributes:
        reference: What the model is called that is right by definition.
        model: What the other is called.
        outputs: How each output differs.
        divergence: The first place where they differ, if they do and it was looked for.
        unlocated: Why no place is told though they differ.
        cuts: How many values of the one are known to mean the same in the other.
        looks: How many values were looked at.
        runs: How often models were run in all.
        seconds: What it took.
        notes: What else there is to know.
    """

    reference: str
    model: str
    outputs: list[OutputDifference] = field(default_factory=list)
    divergence: Divergence | None = None
    unlocated: str = ""
    cuts: int = 0
    looks: int = 0
    runs: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether rounding explains all differences of the outputs."""
        return all(output.agrees for output in self.outputs)

    @property
    def blind(self) -> dict[str, str]:
        """Outputs of which agreement says nothing, as those that are zero everywhere, and why."""
        return {output.name: output.blind for output in self.outputs if output.blind}

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, strings, lists and dicts."""
        return {
            "agrees": self.agrees,
            "reference": self.reference,
            "model": self.model,
            "outputs": [output.to_dict() for output in self.outputs],
            "divergence": self.divergence.to_dict() if self.divergence else None,
            "unlocated": self.unlocated,
            "cuts": self.cuts,
            "looks": self.looks,
            "runs": self.runs,
            "seconds": round(self.seconds, 3),
            "notes": self.notes,
        }

    def __str__(self) -> str:
        worst = max((output.ratio for output in self.outputs), default=0.0)
        if self.agrees:
            rows = [
                f"{self.model} agrees with {self.reference}: the largest difference of its "
                f"{len(self.outputs)} output(s) is {worst:.2f} of what rounding explains"
            ]
        else:
            rows = [f"{self.model} differs from {self.reference}:"]
            rows += [
                f"  output {output.name!r}: {output.why} ({output.ratio:.3g} times that)"
                for output in self.outputs
                if not output.agrees
            ]
        rows += blind_rows(self.blind)
        rows += [f"note: {note}" for note in self.notes]
        if self.divergence is not None:
            rows.append(str(self.divergence))
        if self.unlocated:
            rows.append(f"no place is known: {self.unlocated}")
        if not self.agrees:
            rows.append(
                f"looked at {self.looks} of {self.cuts} values that both have, in {self.runs} runs "
                f"and {self.seconds:.1f} s"
            )
        return "\n".join(rows)


def _plain(moment: Moment) -> dict[str, Any]:
    return {**vars(moment), "shape": list(moment.shape)}


def _number(figure: float) -> float | str:
    """Return a number that JSON has; it has no infinity."""
    return figure if np.isfinite(figure) else str(figure)


def _short(steps: tuple[str, ...]) -> str:
    more = len(steps) - _MOST_SHOWN
    shown = steps[-_MOST_SHOWN:]
    return (f"{more} more, " if more > 0 else "") + ", ".join(shown)

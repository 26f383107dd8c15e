"""Models next to one that a rule applies to: each differs in one place, and may be another one.

A rule may apply to a neighbour or not. If it does, the neighbour computes the same afterwards; in
any case it raises nothing. What becomes of chosen neighbours stands in tests/golden/neighbours:
whether a rule applies, or why not.
"""

from __future__ import annotations

import contextlib
import functools
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from sardonyx.compiler import testing
from sardonyx.compiler.errors import InvalidModelError
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.rewrite import Rule
from tests.support import conditions, outcomes
from tests.support.models import clone
from tests.support.outcomes import IS_WRITING, WANTED
from tests.support.run import DEVICE, run_ort, run_reference
from tests.support.variations import LOCAL, Variation, define_opaque, hidden, variations

Dims = Mapping[str, int]
IS_THOROUGH = WANTED == "all"
"""Whether all neighbours are looked at."""
_MOST = 0 if IS_WRITING else 10_000 if IS_THOROUGH else int(WANTED)
"""About how many neighbours are looked at besides those of the table."""
_MOST_MODELS = 3
"""Of how many models of one test neighbours are chosen for a table."""
_place = outcomes.Place()
_known: dict[Path, set[object]] = defaultdict(set)
_models: Counter[str] = Counter()
_written: dict[Path, outcomes.Table] = defaultdict(dict)


def check_neighbours(
    subject: testing.Subject,
    model: ir.Model,
    *,
    atol: float,
    rtol: float,
    dims: Dims,
    most: int = _MOST,
) -> None:
    """Demand of neighbours right results, and what the table says.

    Nothing on a device: among neighbours are models at which its kernels end the process.

    Raises:
        AssertionError: A neighbour computes something else afterwards, or a rule that did not
            apply to it does, or the other way round.
    """
    if DEVICE != "cpu":
        return
    check = _Check(subject, model, atol, rtol, dims)
    place = _place.next()
    wanted = outcomes.read(place[0]).get(place[1], {}) if place is not None else {}
    if not wanted and not most and not IS_WRITING:
        return
    every = {each.what: each for each in variations(model)}
    if IS_WRITING and place is not None:
        path, section = place
        kept = [what for what in wanted if what in every]
        tried = every if _is_telling(path, section) else {what: every[what] for what in kept}
        _written[path][section] = check.chosen(tried, kept, _known[path])
        outcomes.write(path, _written[path])
        return
    found = {what: check.outcome(every[what]) for what in wanted if what in every}
    different = list(outcomes.differences(wanted, found))
    if different:
        text = "\n".join(different)
        raise AssertionError(f"if this is right: SARDONYX_NEIGHBOURS=write\n{text}")
    rest = [each for what, each in every.items() if what not in wanted] if most else []
    step = 1 + len(rest) // max(most, 1)
    for each in rest[zlib.crc32(ir.to_onnx_text(model).encode()) % step :: step]:
        check.outcome(each)


def _is_telling(path: Path, section: str) -> bool:
    """Whether a model is one of the first of its test: others of them are much the same."""
    name = section.partition("[")[0].partition(" ")[0]
    test = f"{path} {name}"
    _models[test] += 1
    return _models[test] <= _MOST_MODELS


@dataclass
class _Check:
    """What rules make of the neighbours of a model, and whether that is right.

    Attributes:
        subject: The rules.
        model: The model.
        atol: Largest absolute difference.
        rtol: Largest relative difference.
        dims: How long symbolic dimensions are.
    """

    subject: testing.Subject
    model: ir.Model
    atol: float
    rtol: float
    dims: Dims

    def outcome(self, each: Variation) -> str:
        """What a neighbour becomes or why not; empty if no such model is valid.

        Raises:
            AssertionError: It is not right.
        """
        near = each.model()
        after = clone(near)
        try:
            report = testing.apply(self.subject, after)
        except InvalidModelError:
            return ""
        except Exception as error:
            if self._results(near) is not None:
                raise AssertionError(f"{each.what}: {error}") from error
            return ""
        if not any(report.applied.values()):
            return self._refusal({name: miss.why for name, miss in report.misses.items()})
        wanted = self._results(near)
        if wanted is None:
            return ""
        define_opaque(after)
        found = run_ort(after, self._feeds(near))
        for value, one, other in zip(near.graph.outputs, wanted, found, strict=True):
            text = f"{each.what}: {value.name}"
            assert one.dtype == other.dtype, f"{text}: {one.dtype} became {other.dtype}"
            is_half = one.dtype == np.float16
            atol, rtol = (2e-2, 2e-2) if is_half else (self.atol, self.rtol)
            np.testing.assert_allclose(other, one, atol=atol, rtol=rtol, err_msg=text)
        nodes = sorted(testing.counts(after).items())
        texts = (name if count == 1 else f"{count} {name}" for name, count in nodes)
        return f"becomes {', '.join(texts)}"

    def chosen(
        self, every: Mapping[str, Variation], kept: Collection[str], known: set[object]
    ) -> dict[str, str]:
        """What becomes of neighbours that are kept, and of those where conditions go new ways."""
        known |= self._ways(clone(self.model))
        found = {}
        for what in [*kept, *(what for what in every if what not in kept)]:
            ways = self._ways(every[what].model())
            if what in kept or not ways <= known:
                outcome = self.outcome(every[what])
                if outcome:
                    found[what] = outcome
                    known |= ways
        return found

    def _ways(self, model: ir.Model) -> set[object]:
        """Which way conditions of rules go where the rules are applied to a model."""
        conditions.seen.clear()
        with contextlib.suppress(Exception):
            testing.apply(self.subject, model)
        return set(conditions.seen)

    def _refusal(self, reasons: Mapping[str, str]) -> str:
        """Why the rules that apply to the model do not apply to a neighbour."""
        if isinstance(self.subject, Rule):
            return " ".join(reasons.get(self.subject.name, "nothing is like its pattern").split())
        applied = testing.apply(self.subject, clone(self.model)).applied
        texts = [
            f"{name}: {' '.join(reasons[name].split())}"
            for name in sorted(applied)
            if name in reasons
        ]
        return "; ".join(texts) or "nothing is like its pattern"

    def _results(self, model: ir.Model) -> list[np.ndarray] | None:
        """What a model computes; None if it is no model, or no test of numbers."""
        runnable = clone(model)
        define_opaque(runnable)
        try:
            feeds = self._feeds(runnable)
            if all(node.domain in {"", LOCAL} for node in runnable.graph):
                run_reference(runnable, feeds)  # What it refuses may end ONNX Runtime's process.
            found = run_ort(runnable, feeds)
        except Exception:
            return None
        is_as_declared = all(map(_is_as_declared, model.graph.outputs, found))
        is_finite = all(np.all(np.isfinite(array)) for array in found)
        return found if is_as_declared and is_finite else None

    def _feeds(self, model: ir.Model) -> dict[str, np.ndarray]:
        """Values for the inputs: those of the model, but for inputs of another dtype or shape."""
        known = clone(model)
        feeds = {}
        for value in list(known.graph.inputs):
            name = str(value.name)
            has_shape = value.shape is not None and all(map(self._has_length, value.shape))
            if name in self._values and (name.endswith(hidden("")) or not has_shape):
                feeds[name] = self._values[name]
                known.graph.inputs.remove(value)
        return {**feeds, **testing.random_feeds(known, self.dims)}

    def _has_length(self, dim: int | ir.SymbolicDim) -> bool:
        return isinstance(dim, int) or dim.value in self.dims

    @functools.cached_property
    def _values(self) -> dict[str, np.ndarray]:
        """What the values of the model are, by the names that they have where they are fed."""
        model = clone(self.model)
        feeds = testing.random_feeds(model, self.dims)
        held = {n: v.const_value.numpy() for n, v in model.graph.initializers.items()}
        inner = [v for n in model.graph for v in n.outputs if v.name and not v.is_graph_output()]
        Types.inferred(model)
        model.graph.outputs.extend(inner)
        found = run_ort(model, feeds)[-len(inner) :] if inner else []
        held |= {str(value.name): array for value, array in zip(inner, found, strict=True)}
        return {**feeds, **{hidden(name): array for name, array in held.items()}}


def _is_as_declared(value: ir.Value, array: np.ndarray) -> bool:
    """Whether a result has the lengths that are numbers in the model: no runtime looks at them."""
    dims = array.shape if value.shape is None else list(value.shape)
    return len(dims) == array.ndim and all(
        not isinstance(dim, int) or dim == length
        for dim, length in zip(dims, array.shape, strict=True)
    )

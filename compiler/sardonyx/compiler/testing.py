"""Checks for rules and passes: match, near misses, idempotence, numbers and shared operands.

`check_rewrite` does all of them in one call; the others do one each. All of them raise
AssertionError, so that they serve in any test runner. No tolerance has a default: what is right
follows from the operators and the dtype of the model at hand.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.ir.edit import Editor
from sardonyx.compiler.ir.types import Types
from sardonyx.compiler.ir.verify import verify
from sardonyx.compiler.passes.base import Pass, PassReport
from sardonyx.compiler.rewrite import Rewriter, Rule

__all__ = [
    "apply",
    "check_match",
    "check_miss",
    "check_rewrite",
    "check_same",
    "check_shared",
    "check_unchanged",
    "counts",
    "random_feeds",
    "run_reference",
]

Subject = Rule | Sequence[Rule] | Pass
"""What is checked: a rule, several that are applied together, or a pass."""
Dims = Mapping[str, int]
"""How long the symbolic dimensions of a model are in one run."""
Feeds = Mapping[str, Array]
Run = Callable[[ir.Model, Feeds], Sequence[Any]]
"""Runs a model on inputs by name, and returns its outputs in order."""


def run_reference(model: ir.Model, feeds: Feeds) -> list[Any]:
    """Return the outputs of a model by ONNX's own evaluator in numpy.

    It knows the standard operators alone. For others give the checks a `run` of your own, such as
    ONNX Runtime with its optimisations off.
    """
    return list(ReferenceEvaluator(ir.to_proto(model)).run(None, dict(feeds)))


# --- everything in one call ----------------------------------------------------------------------


def check_rewrite(
    subject: Subject,
    model: ir.Model,
    expected: Mapping[str, int],
    misses: Iterable[tuple[ir.Model, str]] = (),
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
    run: Run = run_reference,
) -> ir.Model:
    """Demand all that a rewrite owes to those who rely on it.

    The model becomes exactly the nodes that are expected; it computes the same, for all lengths
    in `dims`; a second run changes nothing; the results stay right when any value in between is
    read by somebody else or is an output of the graph; and each near miss is left alone, with the
    reason that is given.

    Args:
        subject: A rule, several, or a pass.
        model: A model that it applies to; it is not changed.
        expected: Number of nodes of each operator afterwards.
        misses: Models that it must refuse, each with what it must say (a part of the reason).
        atol: Largest absolute difference to the outputs before.
        rtol: Largest relative difference to the outputs before.
        dims: Lengths of the symbolic dims; several mappings check several lengths.
        run: Runs a model; by default ONNX's reference evaluator.

    Returns:
        The rewritten model.

    Raises:
        AssertionError: One of these does not hold; the message says which, and how it is instead.
    """
    every = [dims] if isinstance(dims, Mapping) else list(dims)
    after = check_match(subject, model, expected, atol=atol, rtol=rtol, dims=every, run=run)
    if any(True for _ in _inner(model)):
        check_shared(subject, model, atol=atol, rtol=rtol, dims=every, run=run)
    for near, reason in misses:
        check_miss(subject, near, reason)
    return after


# --- one check each ------------------------------------------------------------------------------


def apply(subject: Subject, model: ir.Model) -> PassReport:
    """Run rules or a pass on a model, in place; return what they did."""
    return _run(subject, Editor(model, Types.inferred(model)))


def check_match(
    subject: Subject,
    model: ir.Model,
    expected: Mapping[str, int],
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
    run: Run = run_reference,
) -> ir.Model:
    """Demand that a model is rewritten to exactly these nodes, rightly and for good.

    Arguments, result and errors are those of `check_rewrite`.
    """
    after = _copy(model)
    report = apply(subject, after)
    _demand(any(report.applied.values()), f"nothing matched: {report.misses}")
    found = counts(after)
    _demand(found == dict(expected), f"it has become {found}, not {dict(expected)}")
    check_same(model, after, atol=atol, rtol=rtol, dims=dims, run=run)
    check_unchanged(subject, after)
    return after


def check_unchanged(subject: Subject, model: ir.Model) -> PassReport:
    """Demand that rules or a pass leave a model as it is; return what they said."""
    copy = _copy(model)
    editor = Editor(copy, Types.inferred(copy))
    before = ir.to_onnx_text(copy)
    report = _run(subject, editor)
    _demand(not any(report.applied.values()), f"it was applied: {report.applied}")
    is_same = editor.changes == 0 and ir.to_onnx_text(copy) == before
    _demand(is_same, f"it changed the model and did not say so:\n{ir.to_onnx_text(copy)}")
    return report


def check_miss(subject: Subject, model: ir.Model, reason: str, rule: str | None = None) -> None:
    """Demand that nothing is rewritten, and that the best failed match says `reason`.

    Args:
        subject: A rule, several, or a pass.
        model: The model; it is not changed.
        reason: A part of what is said.
        rule: Which rule must say so, where `subject` is more than one.

    Raises:
        AssertionError: It was applied, or the reason is another.
    """
    report = check_unchanged(subject, model)
    name = rule or (subject.name if isinstance(subject, Rule) else next(iter(report.misses), ""))
    _demand(name in report.misses, f"{name!r} found nothing like its pattern")
    _demand(reason in report.misses[name].why, f"it says: {report.misses[name].why}")


def check_shared(
    subject: Subject,
    model: ir.Model,
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
    run: Run = run_reference,
) -> None:
    """Demand right results where a value inside the match is a graph output or has a reader more.

    Tries it for each value of the main graph in turn that is no output already. Arguments and
    errors are those of `check_rewrite`.
    """
    every = [dims] if isinstance(dims, Mapping) else list(dims)
    names = list(_inner(model))
    _demand(bool(names), "the model has no inner value to share")
    for name in names:
        for is_output in (True, False):
            changed = _copy(model)
            Types.inferred(changed)
            value = next(v for n in changed.graph for v in n.outputs if v.name == name)
            changed.graph.outputs.append(value if is_output else _read_again(changed, value))
            after = _copy(changed)
            apply(subject, after)
            check_same(changed, after, atol=atol, rtol=rtol, dims=every, run=run)


def check_same(
    before: ir.Model,
    after: ir.Model,
    *,
    atol: float,
    rtol: float,
    dims: Dims | Iterable[Dims] = (),
    run: Run = run_reference,
) -> None:
    """Demand that a model is valid, and has the inputs, outputs and results of another one."""
    verify(after)
    onnx.checker.check_model(ir.to_proto(after), full_check=True)
    twice = _names_used_twice(after)
    _demand(not twice, f"several values have one name: {twice}")
    for role in ("inputs", "outputs"):
        was, now = (_signature(getattr(m.graph, role)) for m in (before, after))
        _demand(was == now, f"the {role} were {was} and are {now}")
    for lengths in [dims] if isinstance(dims, Mapping) else list(dims) or [{}]:
        feeds = random_feeds(before, lengths)
        for value, wanted, got in zip(
            before.graph.outputs, run(before, feeds), run(after, feeds), strict=True
        ):
            _demand(wanted.dtype == got.dtype, f"{value.name}: {wanted.dtype} became {got.dtype}")
            is_finite = bool(np.all(np.isfinite(wanted)))
            _demand(is_finite, f"{value.name} is not finite before: a poor test")
            text = f"{value.name} for {dict(lengths)}"
            np.testing.assert_allclose(got, wanted, atol=atol, rtol=rtol, err_msg=text)


# --- what the checks are made of -----------------------------------------------------------------


def counts(model: ir.Model) -> dict[str, int]:
    """Return how many nodes of each operator a model has; Constant nodes do not count."""
    found = Counter(node.op_type for node in model.graph.all_nodes())
    del found["Constant"]
    return dict(found)


def random_feeds(model: ir.Model, dims: Dims | None = None, seed: int = 0) -> dict[str, Array]:
    """Return random values for each input of a model, the same ones for the same arguments.

    Args:
        model: The model.
        dims: How long its symbolic dimensions are.
        seed: Another one gives other values.

    Raises:
        AssertionError: A dimension has no length.
    """
    feeds = {}
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        assert value.shape is not None
        assert value.dtype is not None
        assert value.name is not None
        shape = tuple(_length(d, value, dims or {}) for d in value.shape)
        feeds[value.name] = _random(_rng(seed, value.name, shape), value.dtype.numpy(), shape)
    return feeds


def _rng(*seeds: object) -> np.random.Generator:
    """Return a generator of random numbers that depends on all of its arguments."""
    return np.random.default_rng(zlib.crc32(repr(seeds).encode()))


def _length(dim: int | ir.SymbolicDim, value: ir.Value, dims: Dims) -> int:
    if isinstance(dim, int):
        return dim
    known = dim.value is not None and dim.value in dims
    _demand(known, f"dims= must say how long {dim.value!r} of input {value.name!r} is")
    return dims[str(dim.value)]


def _random(random: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    if dtype.kind == "b":
        return np.asarray(random.random(shape) < 0.5)
    if dtype.kind == "u":
        return np.asarray(random.integers(0, 200, shape), dtype)
    if dtype.kind == "i":
        return np.asarray(random.integers(-100, 100, shape), dtype)
    return np.asarray(2 * random.normal(size=shape) + 0.25, dtype)


def _run(subject: Subject, editor: Editor) -> PassReport:
    if isinstance(subject, Pass):
        return subject.run(editor)
    report = Rewriter([subject] if isinstance(subject, Rule) else subject).run(editor)
    return PassReport(dict(report.applied), report.misses)


def _copy(model: ir.Model) -> ir.Model:
    """Return a copy that shares no node or value with the original."""
    return ir.from_proto(ir.to_proto(model))


def _inner(model: ir.Model) -> Iterator[str]:
    for node in model.graph:
        yield from (str(v.name) for v in node.outputs if v.name and not v.is_graph_output())


def _read_again(model: ir.Model, value: ir.Value) -> ir.Value:
    reader = ir.Node("", "Identity", [value])
    (copy,) = reader.outputs
    copy.name, copy.type, copy.shape = f"{value.name}_read_again", value.type, value.shape
    model.graph.append(reader)
    return copy


def _names_used_twice(model: ir.Model) -> list[str]:
    """Return the names that several values, those of subgraphs included, have."""
    names: Counter[str] = Counter()
    for graph in (model.graph, *model.graph.subgraphs()):
        held = {*graph.inputs, *graph.initializers.values()}
        held.update(v for node in graph for v in node.outputs)
        names.update(v.name for v in held if v.name)
    return [name for name, count in names.items() if count > 1]


def _signature(values: Iterable[ir.Value]) -> list[tuple[str | None, str]]:
    return [(v.name, str(v.dtype)) for v in values]


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)

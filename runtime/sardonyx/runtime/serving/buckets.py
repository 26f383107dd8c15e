"""Sizes of dynamic dimensions rounded up to a few, by padding, where that changes no result."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..arrays import describe
from ..errors import BatchError, InputError, SardonyxError, SettingsError
from ..narrow import NARROW
from ..session import Session
from ..specs import Spec
from .arguments import checked_fill, checked_samples, checked_sizes
from .bound import BoundCalls
from .rows import Feed, same_bits

Outputs = dict[str, NDArray[Any]]
Axes = dict[str, tuple[tuple[int, str], ...]]
"""Of each input or output: the axes that are padded or cut, with the name of their dimension."""


class Buckets:
    """A session whose inputs are padded to a few sizes, and whose outputs are cut back.

    Kernels, memory plans and CUDA graphs then meet few shapes. Padding is right only where the
    model leaves out what is padded: rows of a batch that do not depend on each other, or places of
    a sequence that a mask excludes. So it is tried on samples when this is made: each padded to
    every bucket that it fits, against the same sample as it is. Where an output differs by more
    than asked, which by default is by a bit, this is an error that says how much.

    Args:
        session: The session.
        sizes: For each dynamic dimension, by the name that the model's inputs have for it, the
            sizes that it may have.
        samples: Requests like those to come, inputs by name: some smaller than a bucket along each
            dimension, with masks as the model wants them.
        fill: What to pad an input with, by its name; 0 by default.
        rtol: Relative difference that is allowed, as of ``numpy.isclose``.
        atol: Absolute difference that is allowed.
        bind: Bind memory to each bucket when it is first used, and use it again; on CUDA, where the
            session captures graphs, this is one graph for each. Calls in the same bucket then go
            one after the other, and inputs are arrays of numbers in CPU memory.

    Attributes:
        inputs: Those of the session.
        outputs: Those of the session.
        largest_difference: The largest absolute difference that the samples showed.

    Raises:
        SettingsError: A dimension is not one of the model's, or an argument is not valid.
        BatchError: Padding changes results, or the samples do not show that it does not.
        InputError: A sample does not fit the model's inputs.
    """

    def __init__(
        self,
        session: Session,
        sizes: Mapping[str, Sequence[int]],
        *,
        samples: Sequence[Mapping[str, Any]],
        fill: Mapping[str, Any] | None = None,
        rtol: float = 0.0,
        atol: float = 0.0,
        bind: bool = False,
    ) -> None:
        self._session = session
        self._bound = BoundCalls(session) if bind else None
        self.inputs, self.outputs = session.inputs, session.outputs
        self._sizes = checked_sizes(sizes)
        self._padded = _axes(self.inputs, self._sizes, "input")
        self._cut = _axes(self.outputs, self._sizes, "output")
        self._check_names()
        padded = [spec for spec in self.inputs if spec.name in self._padded]
        self._fill = checked_fill({} if fill is None else fill, padded)
        self.largest_difference = self._prove(checked_samples(samples), rtol, atol)

    def __call__(self, /, *args: Any, **named: Any) -> list[Any]:
        """Run the model, as a session does, on inputs in CPU memory.

        Raises:
            InputError: The arguments do not fit, disagree on the size of a dimension that is
                padded, or are larger than the largest bucket.
            RunError: ONNX Runtime failed.
        """
        return list(self._run(self._bind(args, named)).values())

    def run_named(
        self, feed: Mapping[str, Any], outputs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Run the model on inputs by name, for names that are no Python words; outputs by name.

        Raises:
            InputError, RunError: As for a call.
        """
        return self._run(self._bind((), feed), outputs)

    def prepare(self, feed: Feed) -> tuple[Feed, Callable[[Outputs], Outputs]]:
        """A request padded along all dimensions but that of axis 0, and what cuts its outputs."""
        first = self._first()
        found = {symbol: size for symbol, size in self._found(feed).items() if symbol not in first}
        return self._pad(feed, self._buckets(found)), lambda outputs: self._trim(outputs, found)

    @property
    def max_rows(self) -> int | None:
        """Rows that fit the largest bucket of axis 0; None where it is not padded."""
        return min((self._sizes[symbol][-1] for symbol in self._first()), default=None)

    def _first(self) -> set[str]:
        """The dimensions that are axis 0 of an input."""
        return {axes[0][1] for axes in self._padded.values() if axes[0][0] == 0}

    def _bind(self, args: Sequence[Any], named: Mapping[str, Any]) -> Feed:
        feed: Feed = self._session._bind(args, named)
        for name, value in feed.items():
            is_padded = name in self._padded
            if (is_padded or self._bound is not None) and not isinstance(value, np.ndarray):
                raise InputError(
                    f"input '{name}' cannot be {'padded' if is_padded else 'bound'}",
                    kind="type",
                    input=name,
                    found=describe(value),
                    expected="an array in CPU memory",
                    remedy=None if is_padded else "make buckets with bind=False",
                )
        return feed

    def _run(self, feed: Feed, names: Sequence[str] | None = None) -> Outputs:
        found = self._found(feed)
        padded = self._pad(feed, self._buckets(found))
        # Outputs that there are not are refused by the session.
        if self._bound is None or not set(names or ()) <= {spec.name for spec in self.outputs}:
            return self._trim(self._session.run_named(padded, names), found)
        outputs = self._bound(padded)
        return self._trim({name: outputs[name] for name in names or outputs}, found)

    def _found(self, feed: Feed) -> dict[str, int]:
        """The size of each dimension in a request.

        Raises:
            InputError: Inputs disagree: one is to be broadcast, and padded it could not be.
        """
        found: dict[str, tuple[int, str]] = {}
        for name, axes in self._padded.items():
            for axis, symbol in axes if name in feed else ():
                size, where = feed[name].shape[axis], f"in axis {axis} of {name}"
                first, first_where = found.setdefault(symbol, (size, where))
                if size != first:
                    raise InputError(
                        f"the inputs disagree on dimension '{symbol}'",
                        kind="dim",
                        input=name,
                        found=f"{first} {first_where}, {size} {where}",
                        expected=f"one size of '{symbol}', which is padded",
                        remedy="call the session itself",
                    )
        return {symbol: size for symbol, (size, _) in found.items()}

    def _buckets(self, found: Mapping[str, int]) -> dict[str, int]:
        """The bucket that each size goes into."""
        chosen = {}
        for symbol, size in found.items():
            sizes = self._sizes[symbol]
            place = bisect.bisect_left(sizes, size)
            if place == len(sizes):
                raise InputError(
                    f"dimension '{symbol}' is larger than the largest bucket",
                    kind="dim",
                    found=str(size),
                    expected=f"at most {sizes[-1]}",
                    remedy="call the session itself, or make buckets with larger sizes",
                )
            chosen[symbol] = sizes[place]
        return chosen

    def _pad(self, feed: Feed, buckets: Mapping[str, int]) -> Feed:
        return {name: self._pad_one(name, value, buckets) for name, value in feed.items()}

    def _pad_one(self, name: str, value: NDArray[Any], buckets: Mapping[str, int]) -> NDArray[Any]:
        if name not in self._padded:
            return value
        shape = list(value.shape)
        for axis, symbol in self._padded[name]:
            shape[axis] = buckets.get(symbol, shape[axis])
        if tuple(shape) == value.shape:
            return value
        padded = np.full(shape, self._fill.get(name, 0), dtype=value.dtype)
        padded[tuple(map(slice, value.shape))] = value
        return padded

    def _trim(self, outputs: Mapping[str, Any], found: Mapping[str, int]) -> Outputs:
        trimmed = {}
        for name, value in outputs.items():
            index = [slice(None)] * value.ndim
            for axis, symbol in self._cut.get(name, ()):
                index[axis] = slice(found.get(symbol))
            whole = value[tuple(index)]
            trimmed[name] = whole if whole.shape == value.shape else whole.copy()
        return trimmed

    def _check_names(self) -> None:
        known = {symbol for axes in self._padded.values() for _, symbol in axes}
        for symbol in self._sizes:
            if symbol not in known:
                dims = {d for spec in self.inputs for d in spec.shape or () if isinstance(d, str)}
                raise SettingsError(
                    f"the model's inputs have no dynamic dimension '{symbol}'",
                    expected=", ".join(sorted(dims)) or "a model with dynamic dimensions",
                )

    def _prove(self, samples: Sequence[Mapping[str, Any]], rtol: float, atol: float) -> float:
        """Run samples as they are and padded; returns the largest difference."""
        largest, shown = 0.0, set[str]()
        for sample in samples:
            feed = self._bind((), sample)
            found = self._found(feed)
            try:
                expected = self._session.run_named(feed)
                for buckets in self._choices(found):
                    shown |= {symbol for symbol in found if buckets[symbol] > found[symbol]}
                    outputs = self._trim(self._session.run_named(self._pad(feed, buckets)), found)
                    case = _case(found, buckets)
                    for name, value in expected.items():
                        differs = _difference(name, outputs[name], value, case, (rtol, atol))
                        largest = max(largest, differs)
            except BatchError:
                raise
            except SardonyxError as error:
                _refuse(f"a sample does not run: {error.what}", error.found, None, error.remedy)
        missing = sorted(set(self._sizes) - shown)
        if missing:
            _refuse(
                f"no sample shows what padding of '{missing[0]}' does",
                f"{len(samples)} samples, none smaller than a bucket along it",
                "samples of sizes between the buckets",
            )
        return largest

    def _choices(self, found: Mapping[str, int]) -> Iterator[dict[str, int]]:
        """Every bucket along each dimension by itself, and the largest ones together."""
        for symbol, size in found.items():
            for bucket in self._sizes[symbol]:
                if bucket > size:
                    yield {**found, symbol: bucket}
        yield {symbol: max(self._sizes[symbol][-1], size) for symbol, size in found.items()}


def _axes(specs: Sequence[Spec], sizes: Mapping[str, Any], what: str) -> Axes:
    found = {}
    for spec in specs:
        dims = enumerate(spec.shape or ())
        axes = tuple((axis, dim) for axis, dim in dims if isinstance(dim, str) and dim in sizes)
        is_tensor = spec.kind == "tensor"
        if axes and not (is_tensor and spec.dtype not in NARROW):
            _refuse(f"{what} '{spec.name}' cannot be padded", spec.type, "tensors of numbers")
        if what == "output" and not is_tensor:
            _refuse(f"output '{spec.name}' cannot be cut", spec.type, "tensors")
        if axes:
            found[spec.name] = axes
    return found


def _case(found: Mapping[str, int], buckets: Mapping[str, int]) -> str:
    grown = {s: (found[s], buckets[s]) for s in found if buckets[s] != found[s]}
    return ", ".join(f"{symbol} {a} padded to {b}" for symbol, (a, b) in grown.items())


def _difference(
    name: str,
    value: NDArray[Any],
    expected: NDArray[Any],
    case: str,
    limits: tuple[float, float],
) -> float:
    """The largest difference of an output when inputs are padded.

    Raises:
        BatchError: It is larger than the limits allow.
    """
    if value.shape != expected.shape:
        remedy = "give the output's dimensions the names of the inputs'"
        found = f"{describe(value)} with {case}"
        _refuse(f"padding changes the shape of output '{name}'", found, describe(expected), remedy)
    if same_bits(value, expected):
        return 0.0
    rtol, atol = limits
    remedy = (
        "give a mask that leaves out what is padded, fill=, or the tolerance that the answers may "
        "have: rtol=, atol="
    )
    if expected.dtype.kind not in "fc":
        _refuse(f"padding changes output '{name}'", f"other values with {case}", "the same", remedy)
    with np.errstate(invalid="ignore"):
        differs = float(np.nanmax(np.abs(value.astype(np.float64) - expected), initial=0.0))
    if not np.allclose(value, expected, rtol=rtol, atol=atol, equal_nan=True):
        allowed = f"rtol={rtol:g}, atol={atol:g}" if rtol or atol else "the same bits"
        found = f"{differs:.3g} apart with {case}"
        _refuse(f"padding changes output '{name}'", found, allowed, remedy)
    return differs


def _refuse(
    what: str, found: str | None, expected: str | None, remedy: str | None = None
) -> NoReturn:
    raise BatchError(what, found=found, expected=expected, remedy=remedy)

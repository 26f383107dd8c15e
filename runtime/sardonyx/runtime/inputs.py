"""Gives each argument of a call to the input it is for, and checks the call as a whole."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from .arrays import describe
from .errors import InputError
from .specs import Spec
from .tensors import CONTIGUOUS_ALIGNED, check_for, shape_of


class Binder:
    """Checks the arguments of calls against the specs of a model's inputs.

    Args:
        specs: The inputs, in positional order.
        where: What to call the model in errors.
        devices: Where tensors may be besides CPU memory: ``cuda:0``.
    """

    def __init__(
        self, specs: Sequence[Spec], where: str, devices: frozenset[str] = frozenset()
    ) -> None:
        self._where = where
        self._specs = {spec.name: spec for spec in specs}
        self._names = tuple(self._specs)
        self._required = frozenset(spec.name for spec in specs if spec.required)
        self._checks = {spec.name: check_for(spec, where, devices) for spec in specs}
        # Of a call by position that fitted as it was: name, dtype and shape of each array.
        self._known: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...] = ()
        self._symbols = _shared_symbols(specs)

    def bind(self, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Values by input name, ready to run.

        Raises:
            InputError: A name, type, dtype, rank or dimension does not fit, or ``named`` is no
                mapping.
        """
        known = self._known
        if args and not named and len(args) == len(known):
            feed = {}
            place = 0
            for value in args:  # without enumerate(), which takes as long as the checks
                name, dtype, shape = known[place]
                place += 1  # noqa: SIM113
                if (
                    type(value) is not ndarray
                    or value.dtype is not dtype
                    or value.shape != shape
                    or value.flags.num & CONTIGUOUS_ALIGNED != CONTIGUOUS_ALIGNED
                ):
                    break
                feed[name] = value
            else:
                return feed
        values = self._by_name(args, named)
        feed = {name: self._checks[name](value) for name, value in values.items()}
        if self._symbols:
            self._check_symbols(feed)
        if not named and all(type(x) is ndarray and feed[name] is x for name, x in values.items()):
            self._known = tuple((name, x.dtype, x.shape) for name, x in feed.items())
        return feed

    def _by_name(self, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by the names of their inputs; all that are required are there."""
        if len(args) > len(self._names):
            self._too_many(args)
        values = dict(zip(self._names, args, strict=False))
        if type(named) is not dict and not isinstance(named, Mapping):
            self._no_mapping(named)
        if named:
            self._add_named(values, named)
        if not self._required <= values.keys():
            self._missing(values)
        return values

    def _add_named(self, values: dict[str, Any], named: Mapping[str, Any]) -> None:
        for name, value in named.items():
            if name not in self._specs:
                near = difflib.get_close_matches(str(name), self._names, 1)
                raise InputError(
                    f"the model has no input '{name}'",
                    kind="unknown",
                    input=str(name),
                    where=self._where,
                    expected=self._signature(),
                    remedy=f"did you mean '{near[0]}'?" if near else None,
                )
            if name in values:
                raise InputError(
                    f"input '{name}' is given twice, by position and by name",
                    kind="duplicate",
                    input=name,
                    where=self._where,
                    expected=self._signature(),
                )
            values[name] = value

    def _no_mapping(self, named: object) -> NoReturn:
        raise InputError(
            "inputs by name are a mapping of names to values",
            kind="type",
            where=self._where,
            found=describe(named),
            expected=self._signature(),
        )

    def _too_many(self, args: Sequence[Any]) -> NoReturn:
        raise InputError(
            "the call has more arguments than the model has inputs",
            kind="unknown",
            where=self._where,
            found=f"{len(args)} positional arguments",
            expected=self._signature(),
        )

    def _missing(self, values: Mapping[str, Any]) -> NoReturn:
        absent = [name for name in self._names if name in self._required - values.keys()]
        quoted = ", ".join(f"'{name}'" for name in absent)
        one_dict = len(values) == 1 and isinstance(next(iter(values.values())), dict)
        raise InputError(
            f"missing input{'s' * (len(absent) > 1)} {quoted}",
            kind="missing",
            input=absent[0],
            where=self._where,
            found=f"values for {', '.join(values) or 'no input'}",
            expected=self._signature(),
            remedy="session(**values) or session.run_named(values)" if one_dict else None,
        )

    def _signature(self) -> str:
        return ", ".join(map(str, self._specs.values())) or "no inputs"

    def _check_symbols(self, feed: Mapping[str, Any]) -> None:
        for symbol, places in self._symbols:
            size = -1
            for name, axis in places:
                value = feed.get(name)
                if value is not None:
                    found = shape_of(value)[axis]
                    if found != size >= 0:
                        self._disagree(symbol, places, feed)
                    size = found

    def _disagree(
        self, symbol: str, places: list[tuple[str, int]], feed: Mapping[str, Any]
    ) -> NoReturn:
        present = [(name, axis) for name, axis in places if feed.get(name) is not None]
        found = [f"{shape_of(feed[name])[axis]} in axis {axis} of {name}" for name, axis in present]
        raise InputError(
            f"the inputs disagree on dimension '{symbol}'",
            kind="dim",
            input=places[-1][0],
            where=self._where,
            found=", ".join(found),
            expected=f"one size of '{symbol}': {self._signature()}",
        )


def _shared_symbols(specs: Sequence[Spec]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Symbolic dims that occur more than once, with the inputs and axes where they do.

    Only names count: some exporters call every unknown size ``?`` or ``None``, or write formulas.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for spec in specs:
        dims = spec.shape if spec.kind in ("tensor", "optional") else None
        for axis, dim in enumerate(dims or ()):
            if isinstance(dim, str) and dim.isidentifier() and dim != "None":
                places.setdefault(dim, []).append((spec.name, axis))
    return [(symbol, where) for symbol, where in places.items() if len(where) > 1]

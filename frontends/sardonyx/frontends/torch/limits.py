"""The sizes between which a model holds, which it carries for the dims that have limits.

``sardonyx.dims`` of its metadata is JSON: ``{"seq": {"max": 512}}``. Sessions refuse other sizes.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir
from torch.export import ExportedProgram

from sardonyx.frontends.torch.guards import Trial, conditions, holds, traced_sizes
from sardonyx.runtime.limits import KEY

_MOST_RELATED = 4


def record_limits(model: ir.Model, program: ExportedProgram, symbols: Mapping[str, str]) -> None:
    """Note the sizes between which a trace holds.

    Args:
        model: The model that is made of it.
        program: What was captured.
        symbols: The names of dynamic dims, by the program's symbols.
    """
    limits: dict[str, dict[str, int]] = {}
    for symbol, bounds in program.range_constraints.items():
        name = symbols.get(str(symbol))
        if name is None:
            continue
        # torch assumes at least 2 for every dynamic dim: that says nothing about the model.
        if bounds.lower.is_Integer and int(bounds.lower) > 2:
            limits.setdefault(name, {})["min"] = int(bounds.lower)
        if bounds.upper.is_Integer:
            limits.setdefault(name, {})["max"] = int(bounds.upper)
    _note(model, limits)


def loosen_limits(model: ir.Model, trial: Trial, program: ExportedProgram) -> None:
    """Take away lower limits below which the trace does what the module does.

    torch assumes at least 2 for sizes that are computed too, such as the height of an image after
    five convolutions: that says nothing about the model either.
    """
    limits: dict[str, dict[str, int]] = json.loads(model.metadata_props.get(KEY, "{}"))
    guards, traced = conditions(trial.call, program), traced_sizes(trial.call)
    for name, held in limits.items():
        for size in _smaller(held.get("min", 1)):
            if not trial.agrees(_with_size(name, size, traced, guards)):
                break
            held["min"] = size
        if held.get("min") == 1:
            del held["min"]
    _note(model, {name: held for name, held in limits.items() if held})


def _with_size(
    name: str, size: int, traced: Mapping[str, int], guards: Sequence[str]
) -> dict[str, int]:
    """Sizes of which one is given, such that as many guards that relate it to others hold as can.

    The length of a mask goes with those of a cache and of what is new, for example.
    """
    words = [(guard, {*re.findall(r"[A-Za-z_]\w*", guard)} & traced.keys()) for guard in guards]
    relating = [(guard, names) for guard, names in words if name in names and len(names) > 1]
    related = sorted(set().union(*(names for _, names in relating)) - {name})[:_MOST_RELATED]
    made = [
        {**traced, **dict(zip(related, chosen, strict=True)), name: size}
        for chosen in itertools.product(*((traced[n], 2, 1, 0) for n in related))
    ]
    return max(made, key=lambda sizes: sum(holds(guard, sizes) for guard, _ in relating))


def _smaller(least: int) -> Iterator[int]:
    """Some sizes below a limit, from it down to 1."""
    tried = {least - 1, least // 2, 2, 1}
    yield from sorted((size for size in tried if 1 <= size < least), reverse=True)


def _note(model: ir.Model, limits: Mapping[str, Mapping[str, int]]) -> None:
    if limits:
        model.metadata_props[KEY] = json.dumps(limits, sort_keys=True)
    else:
        model.metadata_props.pop(KEY, None)

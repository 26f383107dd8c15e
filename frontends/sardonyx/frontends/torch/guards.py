"""Where a trace does something else than its module: at sizes that its Python code branches on.

``torch.export`` follows one branch and notes the condition, a guard on sizes, in the program. ONNX
has no place for it. So the module is tried at small sizes that break each guard: what it
gives there either is what the trace gives (many guards are about strides only), or is told.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.export import ExportedProgram

from sardonyx.frontends.torch.capture import Call, FlatModule
from sardonyx.frontends.torch.dynamic import Axes

SIZES = (*range(2, 10), 12, 16, 17, 33, 64, 65, 128, 513)
"""Sizes that are tried for each dynamic dim; 1 would break guards of every model for nothing."""

MOST_GUARDS, MOST_SIZES = 4, 3
"""How many guards are looked into, and at how many sizes that break each the module runs."""

APART = 1e-3
"""Difference, as a part of the largest number, from which two results are not the same."""

_SIZE = re.compile(r"L\['tensors'\]\[(\d+)\]\.size\(\)\[(\d+)\]")


@dataclass(frozen=True)
class Branch:
    """Sizes at which a module and its trace differ.

    Attributes:
        sizes: The sizes of dims by name.
        condition: What the trace takes for granted, with the names of dims.
        found: How the two differ.
    """

    sizes: Mapping[str, int]
    condition: str
    found: str

    def __str__(self) -> str:
        at = ", ".join(f"{name}={size}" for name, size in self.sizes.items())
        return f"at {at} {self.found}: it was traced where {self.condition}"


class Trial:
    """A module beside what was traced of it, at sizes other than traced.

    Args:
        call: The module and its example arguments.
        decomposed: What was captured, in the operators that have a lowering.
    """

    def __init__(self, call: Call, decomposed: ExportedProgram) -> None:
        self.call = call
        self._decomposed = decomposed

    def difference(self, sizes: Mapping[str, int]) -> str | None:
        """How the two differ; None where they agree, one of them fails, or the module varies."""
        results = self._results(sizes)
        return None if results is None else _apart(*results)

    def agrees(self, sizes: Mapping[str, int]) -> bool:
        """Whether both run at some sizes, and give the same."""
        results = self._results(sizes)
        return results is not None and _apart(*results) is None

    @functools.cached_property
    def _traced(self) -> torch.nn.Module | None:
        try:
            traced = self._decomposed.module(check_guards=False)
        except TypeError:  # an older PyTorch, which always checks them
            return None
        # It checks the ranges of sizes, which the model of ONNX does not.
        traced._forward_pre_hooks.clear()
        return traced

    def _results(
        self, sizes: Mapping[str, int]
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """What the trace and the module give; None where one fails, or the module varies."""
        traced, module = self._traced, FlatModule(self.call)
        if traced is None:
            return None
        inputs = [_resized(item.example, item.axes, sizes) for item in self.call.inputs]
        with _buffers_kept(self.call.module), _buffers_kept(traced):
            try:
                wanted, made = (run(*map(torch.clone, inputs)) for run in (module, traced))
                is_clear = _apart(made, wanted) is None
                # It may be random.
                again = wanted if is_clear else module(*map(torch.clone, inputs))
            except Exception:
                return None
        return None if _apart(again, wanted) is not None else (made, wanted)


def branches(trial: Trial, program: ExportedProgram) -> list[Branch]:
    """The sizes at which a module, called again, differs from what was traced of it.

    Args:
        trial: The two.
        program: What was captured, with its guards.
    """
    found = []
    for condition, tries in _broken(trial.call, program).items():
        for sizes in tries:
            differs = trial.difference(sizes)
            if differs is not None:
                found.append(Branch(sizes, condition, differs))
                break
    return found


def _broken(call: Call, program: ExportedProgram) -> dict[str, list[dict[str, int]]]:
    """For each guard that sizes can break: the guard in the names of dims, and such sizes.

    Sizes that another guard has are not tried again for it.
    """
    example = traced_sizes(call)
    every = [{**example, name: size} for size in SIZES for name in example]
    found: dict[str, list[dict[str, int]]] = {}
    for condition in conditions(call, program):
        broken = [sizes for sizes in every if not holds(condition, sizes)]
        larger = [sizes for sizes in broken if any(sizes[n] > example[n] for n in example)]
        breaking = _few(broken, larger)
        if breaking:
            found[condition] = breaking
            every = [sizes for sizes in every if sizes not in breaking]
        if len(found) == MOST_GUARDS:
            break
    return found


def conditions(call: Call, program: ExportedProgram) -> list[str]:
    """The guards of a program, in the names of dims."""
    names = {
        (index, axis): name
        for index, item in enumerate(call.inputs)
        for axis, name in item.axes.items()
    }
    return [
        _SIZE.sub(lambda m: names.get((int(m[1]), int(m[2])), m[0]), guard)
        for guard in getattr(program, "_guards_code", ())
    ]


def traced_sizes(call: Call) -> dict[str, int]:
    """The sizes of the dynamic dims in the examples; that of 1 is traced as another."""
    return {
        name: max(2, item.example.shape[axis])
        for item in call.inputs
        for axis, name in item.axes.items()
    }


def _few(broken: list[dict[str, int]], larger: list[dict[str, int]]) -> list[dict[str, int]]:
    """The first of some sizes, and one that is larger than what was traced, if there is any."""
    first = broken[: MOST_SIZES - 1]
    rest = [sizes for sizes in (*larger, *broken) if sizes not in first]
    return first + rest[:1]


def holds(condition: str, sizes: Mapping[str, int]) -> bool:
    """Whether a guard holds; one that is about more than named dims does."""
    known = {"math": math, "max": max, "min": min, "__builtins__": {}}
    try:
        return bool(eval(condition, known, dict(sizes)))
    except (ArithmeticError, AttributeError, NameError, SyntaxError, TypeError, ValueError):
        return True


def _resized(example: torch.Tensor, axes: Axes, sizes: Mapping[str, int]) -> torch.Tensor:
    """An example cut or repeated to other sizes: its numbers stay valid ones."""
    made = example.clone()
    for axis, name in axes.items():
        if not made.shape[axis]:
            return made
        at = torch.arange(sizes[name], device=made.device) % made.shape[axis]
        made = made.index_select(axis, at)
    return made


def _apart(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    for name, y in wanted.items():
        other = made.get(name)
        if not isinstance(y, torch.Tensor) or not isinstance(other, torch.Tensor):
            continue
        if other.shape != y.shape:
            shapes = f"{list(y.shape)}, and the model {list(other.shape)}"
            return f"the module's {name} has shape {shapes}"
        scale = y.abs().max().item() if y.numel() else 0.0
        if not torch.allclose(other.to(y.dtype), y, rtol=0.0, atol=APART * scale, equal_nan=True):
            return f"the module's {name} has other numbers than the model's"
    return None


@contextlib.contextmanager
def _buffers_kept(module: torch.nn.Module) -> Iterator[None]:
    """Leave a module's buffers as they were, though its calls may write into them."""
    kept = [
        (part, name, buffer, buffer.clone())
        for part in module.modules()
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for part, name, buffer, numbers in kept:
            part._buffers[name] = buffer.copy_(numbers)

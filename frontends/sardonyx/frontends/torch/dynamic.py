"""Dynamic dims by name: what the user asked for, resolved to axes of flat tensor inputs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sardonyx.compiler.errors import CaptureError

Axes = dict[int, str]

# A traced dim of size 0 or 1 is taken for a constant by torch.export; see `widen`.
WIDENED_SIZE = 3


@dataclasses.dataclass(frozen=True)
class Input:
    """One tensor that the model takes.

    Attributes:
        name: Parameter name of ``forward``, followed by the path inside it: ``past.0.key``.
        example: The tensor the model is traced with.
        axes: Name of each dynamic axis.
    """

    name: str
    example: torch.Tensor
    axes: Axes = dataclasses.field(default_factory=dict)


def resolve(
    dynamic: Mapping[Any, Any] | None, inputs: Sequence[Input], parameters: Sequence[str]
) -> list[Input]:
    """The inputs with the axes that ``dynamic`` names.

    Args:
        dynamic: Keys are input names, dotted or pytree paths, prefixes of them, or positions;
            values are ``{axis: name}``, ``(name or None, ...)``, or the same nested once more.
        inputs: The model's tensor inputs.
        parameters: Names of the parameters in the order of ``args``, for positions.

    Raises:
        CaptureError: A key names no input, an axis is out of range, or a name is malformed.
    """
    axes: dict[str, Axes] = {item.name: {} for item in inputs}
    for key, spec in (dynamic or {}).items():
        _collect(_path(key, parameters), spec, inputs, axes)
    return [dataclasses.replace(item, axes=axes[item.name]) for item in inputs]


def _path(key: Any, parameters: Sequence[str]) -> str:
    if isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < len(parameters):
            raise CaptureError(
                f"dynamic names input {key}, which does not exist",
                expected=f"a position below {len(parameters)} ({', '.join(parameters)})",
            )
        return parameters[key]
    return re.sub(r"\[['\"]?([^\]'\"]*)['\"]?\]", r".\1", str(key)).lstrip(".")


def _collect(path: str, spec: Any, inputs: Sequence[Input], axes: dict[str, Axes]) -> None:
    if spec is None:
        return
    if isinstance(spec, (list, tuple)):
        spec = dict(enumerate(spec))
    if not isinstance(spec, Mapping):
        raise CaptureError(
            "dynamic has an entry that is neither axes nor nested inputs",
            where=f"dynamic[{path!r}]",
            found=repr(spec),
            expected="a mapping from axis to dim name, such as {0: 'batch'}",
        )
    if any(isinstance(value, (Mapping, list, tuple)) for value in spec.values()):
        for key, value in spec.items():
            _collect(f"{path}.{key}", value, inputs, axes)
        return
    targets = [item for item in inputs if item.name == path or item.name.startswith(f"{path}.")]
    if not targets:
        raise CaptureError(
            f"dynamic names the input {path!r}, which does not exist",
            expected=f"one of {', '.join(item.name for item in inputs) or '(no tensor inputs)'}",
        )
    for item in targets:
        for axis, name in spec.items():
            if name is not None:
                axes[item.name][_axis(item, axis)] = _dim_name(item, axis, name)


def _axis(item: Input, axis: Any) -> int:
    rank = item.example.dim()
    if not isinstance(axis, int) or isinstance(axis, bool) or not -rank <= axis < rank:
        raise CaptureError(
            f"dynamic names axis {axis!r} of input {item.name!r}, which does not exist",
            found=f"shape {tuple(item.example.shape)}",
            expected=f"an axis from 0 to {rank - 1}" if rank else "no axes: it is a scalar",
        )
    return axis % rank


def _dim_name(item: Input, axis: int, name: Any) -> str:
    text = name if isinstance(name, str) else getattr(name, "__name__", None)
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z_]\w*", text):
        raise CaptureError(
            "a dynamic dim needs a name",
            where=f"input {item.name!r}, axis {axis}",
            found=repr(name),
            expected="a word of letters, digits and underscores, such as 'batch'",
        )
    return text


def check_sizes(inputs: Sequence[Input]) -> None:
    """One name is one dim: refuse examples that do not agree on its size."""
    seen: dict[str, tuple[str, int]] = {}
    for item in inputs:
        for axis, name in item.axes.items():
            place, size = f"axis {axis} of {item.name!r}", item.example.shape[axis]
            first_place, first_size = seen.setdefault(name, (place, size))
            if size != first_size:
                raise CaptureError(
                    f"the dynamic dim {name!r} has two sizes in the example inputs",
                    found=f"{first_size} on {first_place}, {size} on {place}",
                    remedy="give the two dims different names, or examples of one size",
                )


def widen(inputs: Sequence[Input]) -> list[torch.Tensor]:
    """The examples, repeated along dynamic axes of size 1.

    ``torch.export`` takes a dim of size 1 for a constant, since it may broadcast.
    """
    examples = []
    for item in inputs:
        shape = item.example.shape
        ones = [axis for axis in item.axes if shape[axis] == 1]
        repeats = [WIDENED_SIZE if axis in ones else 1 for axis in range(len(shape))]
        examples.append(item.example.repeat(repeats) if ones else item.example)
    return examples

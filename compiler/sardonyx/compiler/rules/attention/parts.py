"""Which elements of the last axis of another value a value is: what Slice and Split take."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rules.producers import is_operator, operator


@dataclass(frozen=True)
class Part:
    """Elements `start`, `start + step`, ... of the last axis of a value, `length` of them."""

    source: ir.Value
    start: int
    length: int
    step: int = 1

    def cut(self, start: int, length: int, step: int = 1) -> Part:
        """Return a part of this part."""
        return Part(self.source, self.start + start * self.step, length, step * self.step)


def last_dim(value: ir.Value | None) -> int | None:
    """Return the length of the last axis where it is a number."""
    if value is None or not value.shape:
        return None
    dim = value.shape[-1]
    return dim if isinstance(dim, int) else None


def operand(value: ir.Value) -> ir.Value | None:
    """Return the first operand of the operator that makes a value."""
    node = operator(value)
    return next(iter(node.inputs), None) if node is not None else None


def part(value: ir.Value | None) -> Part | None:
    """Return what a value is a part of; by itself it is the whole of itself."""
    length = last_dim(value)
    if length is None:
        return None
    assert value is not None  # It has a length.
    node = operator(value)
    outer = part(operand(value)) if is_operator(node, *_CUTS) else None
    if outer is None:
        return Part(value, 0, length)
    assert node is not None
    cut = _CUTS[node.op_type](node, value)
    return outer.cut(*cut) if cut is not None else Part(value, 0, length)


def _slice(node: ir.Node, value: ir.Value) -> tuple[int, int, int] | None:
    """Return start, length and step of a Slice of the last axis alone."""
    size, length = last_dim(node.inputs[0]), last_dim(value)
    assert size is not None
    assert length is not None
    given = [constants.array(v) for v in node.inputs[1:]]
    numbers = [int(array.flat[0]) for array in given if array is not None and array.size == 1]
    if len(numbers) != len(given) or len(numbers) < 3:
        return None
    start, _, axis, step = (*numbers, 1)[:4]
    if not _is_last(axis, value):
        return None
    return (max(start + size, 0) if start < 0 else start), length, step


def _split(node: ir.Node, value: ir.Value) -> tuple[int, int, int] | None:
    """Return start, length and step of one output of a Split of the last axis."""
    lengths = [last_dim(output) for output in node.outputs]
    known = [length for length in lengths if length is not None]
    if not _is_last(Attributes(node).axis, value) or len(known) != len(lengths):
        return None
    index = list(node.outputs).index(value)
    return sum(known[:index]), known[index], 1


def _is_last(axis: int, value: ir.Value) -> bool:
    assert value.shape is not None  # Its last dimension is known.
    return axis in {-1, len(value.shape) - 1}


_CUTS = {"Slice": _slice, "Split": _split}

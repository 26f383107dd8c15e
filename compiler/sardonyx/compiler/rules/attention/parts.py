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
    if value is None or value.shape is None or len(value.shape) == 0:
        return None
    dim = value.shape[-1]
    return dim if isinstance(dim, int) else None


def part(value: ir.Value) -> Part | None:
    """Return what a value is a part of; by itself it is the whole of itself."""
    length, node = last_dim(value), operator(value)
    if length is None:
        return None
    cut = _CUTS[node.op_type](node, value) if is_operator(node, *_CUTS) else None
    if node is None or cut is None:
        return Part(value, 0, length)
    operand = node.inputs[0]
    outer = part(operand) if operand is not None else None
    return outer.cut(*cut) if outer is not None else None


def _slice(node: ir.Node, value: ir.Value) -> tuple[int, int, int] | None:
    """Return start, length and step of a Slice of the last axis alone."""
    operand = node.inputs[0]
    size, length = last_dim(operand), last_dim(value)
    given = [constants.array(v, 64) for v in node.inputs[1:]]
    numbers = [
        int(array.reshape(-1)[0]) for array in given if array is not None and array.size == 1
    ]
    if operand is None or operand.shape is None or size is None or length is None:
        return None
    if len(numbers) != len(given) or len(numbers) < 2:
        return None
    start, _, axis, step = (*numbers, 0, 1)[:4] if len(numbers) == 2 else (*numbers, 1)[:4]
    rank = len(operand.shape)
    if axis % rank != rank - 1 or step < 1:
        return None
    return (max(start + size, 0) if start < 0 else start), length, step


def _split(node: ir.Node, value: ir.Value) -> tuple[int, int, int] | None:
    """Return start, length and step of one output of a Split of the last axis."""
    operand = node.inputs[0]
    if operand is None or operand.shape is None:
        return None
    rank = len(operand.shape)
    if Attributes(node).axis % rank != rank - 1:
        return None
    lengths = [last_dim(output) for output in node.outputs]
    known = [length for length in lengths if length is not None]
    index = value.index()
    if index is None or len(known) != len(lengths):
        return None
    return sum(known[:index]), known[index], 1


_CUTS = {"Slice": _slice, "Split": _split}

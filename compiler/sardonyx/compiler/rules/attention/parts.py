"""Which elements of the last axis of another value a value is: what Slice and Split take."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.signature import Attributes
from sardonyx.compiler.rules.producers import dims_of, is_operator, operator


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


def part(value: ir.Value | None) -> Part | None:
    """Return what a value is a part of; by itself it is the whole of itself."""
    length, node = last_dim(value), operator(value)
    if length is None:
        return None
    assert value is not None
    if not is_operator(node, *_CUTS):
        return Part(value, 0, length)
    outer, cut = part(node.inputs[0]), _CUTS[node.op_type](node, value)
    if outer is None or cut is None:
        return Part(value, 0, length)
    start, step = cut
    return outer.cut(start, length, step)


def cut_from(value: ir.Value) -> ir.Value | None:
    """Return what a Slice or a Split has cut a value from."""
    node = operator(value)
    return node.inputs[0] if is_operator(node, *_CUTS) else None


def halved(a: ir.Value, b: ir.Value, *, interleaved: bool) -> ir.Value | None:
    """Return the value that two values are the halves of, or of which each has every other one."""
    x = cut_from(a)
    whole, half = part(x), last_dim(a)
    if whole is None or half is None or whole.length != 2 * half:
        return None
    second, step = (1, 2) if interleaved else (half, 1)
    wanted = [whole.cut(0, half, step), whole.cut(second, half, step)]
    return x if [part(a), part(b)] == wanted else None


def _slice(node: ir.Node, _value: ir.Value) -> tuple[int, int] | None:
    """Return start and step of a Slice of the last axis alone."""
    operand = node.inputs[0]
    size = last_dim(operand)
    given = [constants.array(v) for v in node.inputs[1:]]
    numbers = [
        int(array.reshape(-1)[0]) for array in given if array is not None and array.size == 1
    ]
    if size is None or len(numbers) != len(given):
        return None
    start, _, axis, step = [*numbers, *(0, 1)[len(numbers) - 2 :]]
    rank = len(dims_of(operand))
    if axis % rank != rank - 1 or step < 1:
        return None
    return (max(start + size, 0) if start < 0 else start), step


def _split(node: ir.Node, value: ir.Value) -> tuple[int, int] | None:
    """Return start and step of one output of a Split of the last axis."""
    rank = len(dims_of(value))
    if Attributes(node).axis % rank != rank - 1:
        return None
    before = [last_dim(output) for output in node.outputs[: value.index()]]
    known = [n for n in before if n is not None]
    return (sum(known), 1) if len(known) == len(before) else None


_CUTS = {"Slice": _slice, "Split": _split}

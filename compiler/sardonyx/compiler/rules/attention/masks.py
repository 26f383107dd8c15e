"""Masks of attention: one additive or boolean mask that means what several steps meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir import constants
from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.rules.attention.reading import Dims
from sardonyx.compiler.rules.producers import made_by

LARGE = 1_000.0
"""A score this far below the others has no weight, in any precision."""

_LOWEST = {ir.DataType.FLOAT16: -6e4, ir.DataType.BFLOAT16: -1e30, ir.DataType.FLOAT: -1e30}
"""What masked scores become: so low that what is added to it is lost, but not the lowest float."""

_MOVES = ("Reshape", "Expand", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Gather", "Cast")
"""Operators whose result has elements of their first operand only."""


@dataclass(frozen=True)
class Bias:
    """`scores + factor * value`; `view` is the shape of the scores there."""

    value: ir.Value
    factor: float
    view: Dims


@dataclass(frozen=True)
class Choice:
    """The scores where `condition` is true (false if inverted), elsewhere `fill`."""

    condition: ir.Value
    is_inverted: bool
    fill: float
    view: Dims

    @property
    def value(self) -> ir.Value:
        """The tensor that the mask is made of."""
        return self.condition


@dataclass(frozen=True)
class Floor:
    """No score is below a large negative number."""


Mask = Bias | Choice | Floor


def combine(
    op: Builder, masks: Sequence[tuple[Mask, ir.Value | None]], dtype: ir.DataType
) -> ir.Value | None:
    """Return one mask, boolean or of `dtype`, for steps in the order in which they are done.

    Each step comes with its tensor, brought to four axes. A query that sees no key gets what it
    got before: where the masks hide keys by finite numbers, the mean of all values.
    """
    choices = [(mask, value) for mask, value in masks if isinstance(mask, Choice)]
    if len(choices) == len(masks) and all(np.isneginf(mask.fill) for mask, _ in choices):
        return _all_of(op, choices)
    lowest = _LOWEST[dtype]
    made: ir.Value | None = None
    for mask, value in masks:
        if isinstance(mask, Bias):
            assert value is not None
            term = _scaled(op, cast(op, bounded(op, value, -lowest), dtype), mask.factor)
            made = term if made is None else op.Add(made, term)
        elif isinstance(mask, Choice):
            made = _fill(op, mask, value, made, dtype)
        elif made is not None:
            made = _above_all(op, made, lowest)
    return made


def _all_of(op: Builder, choices: Sequence[tuple[Choice, ir.Value | None]]) -> ir.Value | None:
    """Return the mask that is true where all are."""
    made: ir.Value | None = None
    for mask, value in choices:
        seen = op.Not(value) if mask.is_inverted else value
        made = seen if made is None else op.And(made, seen)
    return made


def _fill(
    op: Builder, mask: Choice, value: ir.Value | None, made: ir.Value | None, dtype: ir.DataType
) -> ir.Value:
    fill = -np.inf if np.isneginf(mask.fill) else _LOWEST[dtype]
    low = np.array(fill, dtype.numpy())
    kept: ir.Value | np.ndarray = np.array(0, dtype.numpy()) if made is None else made
    chosen: ir.Value = op.Where(value, *((low, kept) if mask.is_inverted else (kept, low)))
    return chosen


def _scaled(op: Builder, value: ir.Value, factor: float) -> ir.Value:
    made: ir.Value = value if factor == 1 else op.Mul(value, factor)
    return made


def cast(op: Builder, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """Return a mask in a dtype."""
    made: ir.Value = value if value.dtype == dtype else op.Cast(value, to=dtype)
    return made


def _above_all(op: Builder, value: ir.Value, lowest: float) -> ir.Value:
    assert value.dtype is not None
    low = np.array(lowest, value.dtype.numpy())
    made: ir.Value = op.Max(value, low)
    return made


def bounded(op: Builder, value: ir.Value, limit: float) -> ir.Value:
    """Return an additive mask whose finite elements lie between -limit and limit.

    ONNX Runtime gives zeros to a query all of whose scores are the lowest float, where softmax
    gives each key the same weight. Elements that a mask of PyTorch has as that float are rewritten
    where they come from, a constant, so that nothing more is computed when the model runs.
    """
    node = made_by(value, "Where", "Add", "Sub", "Mul", *_MOVES)
    if node is None:
        return _bounded_constant(op, value, limit)
    # Of a product, such as `(1 - mask) * lowest`, only what is known is a large number.
    bound = _bounded_constant if node.op_type == "Mul" else bounded
    operands = [
        bound(op, v, limit) if v is not None and v.dtype == value.dtype else v for v in node.inputs
    ]
    if operands == list(node.inputs):
        return value
    made: ir.Value = op.call(node.op_type, *operands, attributes=node.attributes)
    return made


def _bounded_constant(op: Builder, value: ir.Value, limit: float) -> ir.Value:
    known = constants.array(value)
    if known is None:
        return value
    made = np.where(np.isfinite(known), np.clip(known, -limit, limit), known).astype(known.dtype)
    return value if np.array_equal(made, known) else op.constant(made)

"""Einsum becomes MatMul, Mul, ReduceSum and Transpose, which other rules and kernels know."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.constants import Array
from sardonyx.compiler.rewrite import Match, No, no, rest, rule
from sardonyx.compiler.rules.affine import FLOATS
from sardonyx.compiler.rules.einsum_equation import Axes, Axis, Equation, Product, parse, roles

_MULTIPLIED = FLOATS | {
    ir.DataType.INT32,
    ir.DataType.INT64,
    ir.DataType.UINT32,
    ir.DataType.UINT64,
}
"""Dtypes that MatMul accepts."""


@dataclass(frozen=True)
class _Term:
    """A value whose axes have names."""

    value: ir.Value
    axes: Axes

    def length(self, axis: Axis) -> int | None:
        """Return the length of an axis, None if it is not known."""
        assert self.value.shape is not None
        dim = self.value.shape[self.axes.index(axis)]
        return dim if isinstance(dim, int) else None

    def ordered(self, op: Builder, wanted: Axes) -> _Term:
        """Return the same with its axes in another order."""
        perm = [self.axes.index(axis) for axis in wanted]
        if perm == sorted(perm):
            return self
        return _Term(op.Transpose(self.value, perm=perm), wanted)

    def summed(self, op: Builder, over: Axes) -> _Term:
        """Return the sum over some axes."""
        if not over:
            return self
        index = np.array([self.axes.index(axis) for axis in over], dtype=np.int64)
        made = op.ReduceSum(self.value, index, keepdims=0)
        return _Term(made, tuple(axis for axis in self.axes if axis not in over))

    def spread(self, op: Builder, wanted: Axes) -> ir.Value:
        """Return it with axes of length 1 put in where `wanted`, in its order, has more."""
        missing = [i for i, axis in enumerate(wanted) if axis not in self.axes]
        if not missing:
            return self.value
        made: ir.Value = op.Unsqueeze(self.value, np.array(missing, dtype=np.int64))
        return made


# --- two operands --------------------------------------------------------------------------------


def _as_product(op: Builder, m: Match) -> ir.Value:
    """Einsum of two operands is MatMul where it sums over common axes, else Mul."""
    equation = _equation(m)
    assert isinstance(equation, Equation)  # The guard asked for it.
    by = roles(equation)
    terms = [_Term(v, axes) for v, axes in zip(m.operands, equation.operands, strict=True)]
    a, b = terms if by.is_in_order else terms[::-1]
    a, b = a.summed(op, by.left_only), b.summed(op, by.right_only)
    if not by.summed:
        return _outer(op, a, b, equation.result)
    return _matrix_product(op, a, b, by).ordered(op, equation.result).value


def _outer(op: Builder, a: _Term, b: _Term, result: Axes) -> ir.Value:
    left, right = (
        term.ordered(op, tuple(axis for axis in result if axis in term.axes)).spread(op, result)
        for term in (a, b)
    )
    made: ir.Value = op.Mul(left, right)
    return made


def _matrix_product(op: Builder, a: _Term, b: _Term, by: Product) -> _Term:
    """Multiply [batch, left, summed] by [batch, summed, right].

    Without batch axes MatMul takes the first operand with all its axes; else each role that has
    more or less than one axis becomes one axis before, and gets its axes back after.
    """
    is_plain = not by.batch and bool(by.left)
    left = a.ordered(op, (*by.batch, *by.left, *by.summed))
    right = b.ordered(op, (*by.batch, *by.summed, *by.right))
    rows = [(axis,) for axis in by.left] if is_plain else [by.left]
    outer = [(axis,) for axis in by.batch]
    product = op.MatMul(
        _folded(op, left, [*outer, *rows, by.summed]),
        _folded(op, right, [*outer, by.summed, by.right]),
    )
    return _unfolded(op, product, [*outer, *rows, by.right], (a, b))


def _folded(op: Builder, term: _Term, groups: Sequence[Axes]) -> ir.Value:
    """Make one axis of each group of neighbouring axes; none gives an axis of length 1."""
    if all(len(group) == 1 for group in groups):
        return term.value
    if all(len(group) <= 1 for group in groups):
        made: ir.Value = op.Unsqueeze(term.value, _empty(groups))
        return made
    lengths = [[(term, axis) for axis in group] for group in groups]
    return _reshaped(op, term.value, lengths, _leading(groups))


def _unfolded(
    op: Builder, value: ir.Value, groups: Sequence[Axes], sources: Sequence[_Term]
) -> _Term:
    """Give each axis of a value the axes that were folded into it."""
    axes = tuple(axis for group in groups for axis in group)
    if all(len(group) == 1 for group in groups):
        return _Term(value, axes)
    if all(len(group) <= 1 for group in groups):
        return _Term(op.Squeeze(value, _empty(groups)), axes)
    # A batch axis may be 1 long in one of the operands: the product has its true length.
    whole = {group[0]: i for i, group in enumerate(groups) if len(group) == 1}
    names = (group[0] if len(group) == 1 else () for group in groups)
    product = _Term(value, tuple(names))  # type: ignore[arg-type]
    lengths = [
        [(product if axis in whole else next(t for t in sources if axis in t.axes), axis)]
        for axis in axes
    ]
    return _Term(_reshaped(op, value, lengths, _leading(groups)), axes)


def _empty(groups: Sequence[Axes]) -> Array:
    return _numbers([i for i, group in enumerate(groups) if not group])


def _leading(groups: Sequence[Axes]) -> int:
    """Count the axes at the front that stay as they are."""
    return next(i for i, group in enumerate(groups) if len(group) != 1)


def _reshaped(
    op: Builder, value: ir.Value, lengths: Sequence[Sequence[tuple[_Term, Axis]]], kept: int
) -> ir.Value:
    """Reshape so that the length of each axis is a product of other lengths; the first stay."""
    known = [_product(factors) for factors in lengths]
    sizes = [0 if i < kept else size for i, size in enumerate(known)]
    # Beside a length that may be 0 no other can be left open.
    is_sure = all(known[i] for i, size in enumerate(sizes) if size is not None)
    if None not in sizes or (sizes.count(None) == 1 and is_sure):
        shape = op.constant(_numbers([-1 if size is None else size for size in sizes]))
    else:
        parts = [
            _computed(op, factors) if size is None else op.constant(_numbers([size]))
            for factors, size in zip(lengths, sizes, strict=True)
        ]
        shape = op.Concat(*parts, axis=0)
    made: ir.Value = op.Reshape(value, shape)
    return made


def _product(factors: Sequence[tuple[_Term, Axis]]) -> int | None:
    sizes = [term.length(axis) for term, axis in factors]
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def _computed(op: Builder, factors: Sequence[tuple[_Term, Axis]]) -> ir.Value:
    parts = []
    for term, axis in factors:
        index = term.axes.index(axis)
        parts.append(op.Shape(term.value, start=index, end=index + 1))
    made: ir.Value = functools.reduce(op.Mul, parts)
    return made


def _numbers(given: Sequence[int]) -> Array:
    return np.array(given, dtype=np.int64)


# --- one operand, and more than two --------------------------------------------------------------


def _as_sum(op: Builder, m: Match) -> ir.Value:
    """Einsum of one operand is a sum over axes, and a Transpose."""
    equation = _equation(m)
    assert isinstance(equation, Equation)
    term = _Term(m.operands[0], equation.operands[0])
    gone = tuple(axis for axis in term.axes if axis not in equation.result)
    value = term.summed(op, gone).ordered(op, equation.result).value
    return op.Identity(value) if value is m.operands[0] else value


def _in_pairs(op: Builder, m: Match) -> ir.Value:
    """Einsum of many operands is that of the first two, then with the next one."""
    equation = _equation(m)
    assert isinstance(equation, Equation)
    (a, b), others = equation.operands[:2], equation.operands[2:]
    read = {axis for axes in (*others, equation.result) for axis in axes}
    kept = tuple(dict.fromkeys(axis for axis in (*a, *b) if axis in read))
    first = op.Einsum(*m.operands[:2], equation=_written((a, b), kept))
    made: ir.Value = op.Einsum(
        first, *m.operands[2:], equation=_written((kept, *others), equation.result)
    )
    return made


def _written(operands: Sequence[Axes], result: Axes) -> str:
    """Write an equation of letters."""
    terms = ["".join(map(str, axes)) for axes in (*operands, result)]
    return f"{','.join(terms[:-1])}->{terms[-1]}"


# --- guards --------------------------------------------------------------------------------------


def _equation(m: Match) -> Equation | No:
    ranks = []
    for value in m.operands:
        if value.shape is None:
            return no("the rank of an operand is not known", value)
        ranks.append(len(value.shape))
    equation = parse(m.einsum.equation, ranks)
    return equation or no(f"{m.einsum.equation!r} does not fit the ranks of the operands")


def _can_write(m: Match, operands: int) -> bool | No:
    if min(len(m.operands), 3) != operands:
        return no(f"it has {len(m.operands)} operands")
    equation = _equation(m)
    if isinstance(equation, No):
        return equation
    return not equation.repeats or no("a letter stands twice in one operand, for its diagonal")


def _can_multiply(m: Match) -> bool | No:
    verdict = _can_write(m, 2)
    if not verdict:
        return verdict
    equation = _equation(m)
    assert isinstance(equation, Equation)
    a, b = (_Term(v, axes) for v, axes in zip(m.operands, equation.operands, strict=True))
    by = roles(equation)
    if by.summed and a.value.dtype not in _MULTIPLIED:
        return no("MatMul does not take its dtype", a.value)
    for axis in by.summed:
        if 1 in (a.length(axis), b.length(axis)) and a.length(axis) != b.length(axis):
            return no(
                f"axis {axis!r} may be 1 long in one operand and longer in the other", a.value
            )
    if any(0 in value.shape for value in m.operands):
        return no("an operand is empty", a.value)
    return True


def _can_pair(m: Match) -> bool | No:
    verdict = _can_write(m, 3)
    if not verdict:
        return verdict
    equation = _equation(m)
    assert isinstance(equation, Equation)
    is_plain = not any(isinstance(axis, int) for axes in equation.operands for axis in axes)
    return is_plain or no("more than two operands and an ellipsis")


RULES = (
    rule(
        "einsum_product",
        lambda op: op.Einsum(rest("operands"), attributes="einsum"),
        _as_product,
        _can_multiply,
    ),
    rule(
        "einsum_sum",
        lambda op: op.Einsum(rest("operands"), attributes="einsum"),
        _as_sum,
        lambda m: _can_write(m, 1),
    ),
    rule(
        "einsum_pairs",
        lambda op: op.Einsum(rest("operands"), attributes="einsum"),
        _in_pairs,
        _can_pair,
    ),
)

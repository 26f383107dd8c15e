"""Reads the equation of an Einsum and says how two operands are to be multiplied.

Axes are called by their letters; those of an ellipsis by the numbers -1 (the last one), -2, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Axis = str | int
Axes = tuple[Axis, ...]


@dataclass(frozen=True)
class Equation:
    """The axes of each operand and of the result, in order."""

    operands: tuple[Axes, ...]
    result: Axes

    @property
    def repeats(self) -> bool:
        """Whether a letter stands twice in one operand, for a diagonal, or in the result."""
        return any(len(set(axes)) < len(axes) for axes in (*self.operands, self.result))


def parse(text: str, ranks: Sequence[int]) -> Equation | None:
    """Read an equation for operands of these ranks; None where they do not fit each other."""
    left, arrow, right = text.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        return None
    operands = [_axes(term, rank) for term, rank in zip(terms, ranks, strict=True)]
    read = [axes for axes in operands if axes is not None]
    if len(read) < len(terms):
        return None
    outer = min((axis for axes in read for axis in axes if isinstance(axis, int)), default=0)
    result = _axes(right, len(right.replace("...", "")) - outer) if arrow else _implicit(read)
    if result is None or not set(result) <= {axis for axes in read for axis in axes}:
        return None
    return Equation(tuple(read), result)


def _axes(term: str, rank: int) -> Axes | None:
    before, ellipsis, after = term.partition("...")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden > 0 and not ellipsis):
        return None
    return (*before, *range(-hidden, 0), *after)


def _implicit(operands: Sequence[Axes]) -> Axes:
    """Without an arrow: the ellipsis, then what occurs once, in alphabetical order."""
    axes = [axis for operand in operands for axis in operand]
    outer = sorted({axis for axis in axes if isinstance(axis, int)})
    letters = sorted(axis for axis in axes if isinstance(axis, str))
    return (*outer, *(letter for letter in letters if letters.count(letter) == 1))


@dataclass(frozen=True)
class Product:
    """The roles that axes play in the product of two operands.

    Attributes:
        batch: Of both operands and of the result.
        left: Of the left operand and of the result.
        right: Of the right operand and of the result.
        summed: Of both operands only.
        left_only: Of the left operand only: it is summed over them before.
        right_only: Of the right operand only.
        is_in_order: Whether the first operand of the equation is the left one.
    """

    batch: Axes
    left: Axes
    right: Axes
    summed: Axes
    left_only: Axes
    right_only: Axes
    is_in_order: bool


def roles(equation: Equation) -> Product:
    """Divide the axes of an equation of two operands by the role that they play.

    The left operand is that whose axes come first in the result.
    """
    (a, b), result = equation.operands, equation.result
    free = [axis for axis in result if (axis in a) != (axis in b)]
    is_in_order = not free or free[0] in a
    if not is_in_order:
        a, b = b, a
    return Product(
        batch=tuple(axis for axis in result if axis in a and axis in b),
        left=tuple(axis for axis in free if axis in a),
        right=tuple(axis for axis in free if axis in b),
        summed=tuple(axis for axis in a if axis in b and axis not in result),
        left_only=tuple(axis for axis in a if axis not in b and axis not in result),
        right_only=tuple(axis for axis in b if axis not in a and axis not in result),
        is_in_order=is_in_order,
    )

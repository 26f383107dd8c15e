"""How far two right implementations of an operator may differ."""

from __future__ import annotations

import enum


class Tolerance(enum.Enum):
    """The reason why two right results may differ, which bounds by how much.

    `u` is half the distance from 1 to the next number of the output's dtype.
    """

    EXACT = "every element is a copy of an operand's, an integer or a truth value: no difference"
    ROUNDING = "a fixed number of roundings of each element: some u of the element itself"
    TRANSCENDENTAL = "exp, log, sin and their kin are approximated: tens of u of the element"
    ACCUMULATING = "a sum of n terms in any order: about n u of the sum of the terms' magnitudes"
    RANDOM = "the elements are drawn at random: only their distribution can be compared"

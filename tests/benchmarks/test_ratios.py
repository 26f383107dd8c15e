"""Ratios and errors: the arithmetic behind every published number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.ratios import geometric_mean, in_turn, ratio, relative_error, spread


def test_spread_is_median_and_quartiles():
    found = spread([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)


def test_ratio_is_taken_round_by_round():
    """The second round ran on a machine three times slower; the ratio does not show it."""
    found = ratio([10.0, 30.0, 10.0], [5.0, 15.0, 5.0])
    assert (found.low, found.median, found.high) == (2.0, 2.0, 2.0)


def test_each_round_starts_with_another():
    asked, told = [], []
    found = in_turn("abc", 2, lambda name: asked.append(name) or len(asked), told.append)
    assert "".join(asked) == "abcbca"
    assert found == {"a": [1, 6], "b": [2, 4], "c": [3, 5]}
    assert told == ["round 1 of 2", "round 2 of 2"]


def test_ratio_leaves_out_rounds_that_one_of_them_missed():
    assert ratio([10.0, None, 8.0], [5.0, 1.0, None]).median == 2.0
    assert ratio([None], [1.0]) is None


def test_ratio_wants_the_same_rounds():
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_geometric_mean():
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0, rel=1e-12)
    assert geometric_mean([]) is None


def test_relative_error_is_scaled_by_the_largest_value_of_the_reference():
    reference = [np.array([[-8.0, 2.0]], np.float32)]
    assert relative_error([np.array([[-8.0, 2.5]], np.float32)], reference) == 0.0625


def test_relative_error_is_the_worst_output():
    reference = [np.array([1.0]), np.array([2.0])]
    assert relative_error([np.array([1.0]), np.array([1.0])], reference) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_an_infinite_error(bad):
    good = [np.array([1.0, 2.0])]
    assert relative_error([np.array([1.0, bad])], good) == math.inf
    assert relative_error(good, [np.array([1.0, bad])]) == math.inf


def test_relative_error_refuses_other_shapes():
    with pytest.raises(ValueError, match="output shapes"):
        relative_error([np.zeros((2, 1))], [np.zeros((1, 2))])
    with pytest.raises(ValueError, match="output shapes"):
        relative_error([np.zeros(2)], [np.zeros(2), np.zeros(2)])

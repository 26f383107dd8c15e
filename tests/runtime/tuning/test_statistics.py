"""Intervals of medians, and how far outputs may be apart."""

import math

import ml_dtypes
import numpy as np
import pytest

from sardonyx.runtime.tuning.statistics import (
    CONFIDENCE,
    FEWEST,
    deviation,
    is_faster,
    spacing,
    spread,
)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 9, 11, 13, 20])
def test_the_interval_misses_the_median_as_rarely_as_it_says(count):
    """By simulation: values of a skewed distribution whose median is known."""
    rng = np.random.default_rng(0)
    found = [spread(row) for row in rng.exponential(size=(4000, count))]
    missed = np.mean([each.low > math.log(2) for each in found])
    if count < FEWEST:
        assert missed == pytest.approx(0.5**count, abs=0.02)
    else:
        assert missed < CONFIDENCE + 0.005
    assert all(each.low <= each.median <= each.high for each in found)


def test_seven_rounds_are_the_fewest_that_can_win():
    assert FEWEST == 7
    assert not is_faster([2.0] * 6, [1.0] * 6)
    assert is_faster([2.0] * 7, [1.0] * 7)


def test_a_candidate_must_be_beyond_the_noise_of_equal_processes_in_either_direction():
    ratios = [1.1 + 0.001 * n for n in range(11)]
    assert is_faster(ratios, [0.99, 1.01] * 5 + [1.0])
    assert not is_faster(ratios, [1.2] * 11)
    assert not is_faster(ratios, [0.8] * 11)
    assert not is_faster([0.99, *ratios[:6]], [1.0] * 7)


def one(*arrays):
    return [list(arrays)]


def test_deviation_is_relative_to_the_largest_element_of_each_output():
    reference = one(np.float32([1, -4]), np.float32([100]))
    made = one(np.float32([1.04, -4]), np.float32([101]))
    assert deviation(made, reference) == pytest.approx(0.01, rel=1e-3)
    assert deviation(reference, reference) == 0
    assert deviation(one(np.float32([0.0])), one(np.float32([0.0]))) == 0
    assert deviation(one(np.zeros((0, 3))), one(np.zeros((0, 3)))) == 0


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.float32([1, 2]), np.float32([1])),
        (np.float32([1, np.nan]), np.float32([1, 2])),
        (np.float32([1, 2]), np.float32([1, np.nan])),
        (np.float32([1, np.inf]), np.float32([1, -np.inf])),
        (np.int64([1, 2]), np.int64([1, 3])),
        (np.array([True]), np.array([False])),
        (np.array(["a"], object), np.array(["b"], object)),
        (np.array(["a"], object), np.float32([1])),
    ],
)
def test_what_no_tolerance_covers_is_infinitely_far(y, expected):
    assert deviation(one(y), one(expected)) == math.inf
    assert deviation(one(expected), one(expected)) == 0


def test_an_output_more_or_less_is_infinitely_far():
    assert deviation([[]], one(np.zeros(1))) == math.inf


@pytest.mark.parametrize(
    ("dtype", "epsilon"),
    [(np.float64, 2**-52), (np.float32, 2**-23), (np.float16, 2**-10), (ml_dtypes.bfloat16, 2**-7)],
)
def test_spacing_is_that_of_the_coarsest_float(dtype, epsilon):
    assert spacing(one(np.zeros(1, np.int64), np.zeros(1, dtype), np.zeros(1))) == epsilon
    assert spacing(one(np.zeros(1, np.int64))) == 0

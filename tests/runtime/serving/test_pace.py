"""Sizes of batches follow from what batches took."""

import math
import sys
import threading

import pytest

from sardonyx.runtime.serving.pace import FORGOTTEN, GAIN, Pace


def trained(pace, seconds_of, sizes):
    """A pace that knows these sizes."""
    for rows in sizes:
        for _ in range(2):
            pace.note(rows, seconds_of(rows))
    return pace


SIZES = (1, 2, 4, 8)


def test_unknown_sizes_are_tried_the_largest_first():
    pace, tried = Pace(8), []
    for _ in range(8):
        rows = pace.choose(100)
        tried.append(rows)
        pace.note(rows, 1.0)
    assert tried == [8, 8, 4, 4, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("seconds_of", "wanted", "pays"),
    [
        (lambda rows: rows * 0.01, 1, False),  # As long as one after the other.
        (lambda rows: 0.01, 8, True),  # All at once.
        (lambda rows: 0.01 * rows / min(rows, 4), 4, True),  # 8 are no faster than 4.
        (lambda rows: 0.01 * rows * rows, 1, False),
        (lambda rows: 0.01 * rows / (1 + (GAIN - 1) / 2 * (rows > 1)), 1, False),
    ],
)
def test_the_smallest_size_of_about_the_best_pace(seconds_of, wanted, pays):
    pace = trained(Pace(8), seconds_of, SIZES)
    assert pace.wanted() == wanted
    assert pace.choose(100) == wanted
    assert pace.choose(1) == 1
    assert pace.pays() is pays
    assert list(pace.per_row()) == list(SIZES)


def test_a_batch_is_what_waits_when_it_is_no_power_of_two():
    pace = trained(Pace(24), lambda rows: 0.01, (1, 2, 4, 8, 16, 24))
    assert [pace.choose(waiting) for waiting in (3, 7, 17, 24, 99)] == [3, 7, 17, 24, 24]
    assert max(pace.per_row()) == 24


def test_a_batch_ends_in_time():
    pace = trained(Pace(8), lambda rows: 0.01 + 0.001 * rows, SIZES)
    assert pace.choose(8) == 8
    assert pace.choose(8, seconds=0.010) == 4
    assert pace.choose(8, seconds=-1.0) == 1
    assert Pace(8).choose(8, seconds=0.001) == 8  # Nothing is known.
    assert pace.choose(8, seconds=float("inf")) == 8


def test_it_can_be_read_while_notes_are_taken():
    pace = trained(Pace(1), lambda rows: 1.0, [1])
    notes = threading.Thread(target=lambda: [pace.note(1, 1.0) for _ in range(20_000)])
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        notes.start()
        while notes.is_alive():
            assert pace.per_row() == {1: 1.0}
    finally:
        sys.setswitchinterval(before)
        notes.join()


def test_a_size_that_failed_is_not_chosen():
    pace = trained(Pace(8), lambda rows: 0.01 if rows < 8 else math.inf, SIZES)
    assert pace.wanted() == 4
    assert [pace.choose(8, seconds) for seconds in (1.0, 0.005, math.inf)] == [4, 2, 4]
    assert pace.pays() is True
    pace = trained(Pace(8), lambda rows: 0.01 if rows < 2 else math.inf, SIZES)
    assert pace.wanted() == 1
    assert pace.pays() is False
    for _ in range(4):  # Then it does not fail any more.
        pace.note(8, 0.01)
    assert pace.wanted() == 8


def test_old_runs_are_no_evidence():
    now = [0.0]
    pace = trained(Pace(4, lambda: now[0]), lambda rows: rows * 0.01, (1, 2, 4))
    assert pace.wanted() == 1
    now[0] = FORGOTTEN + 1
    assert pace.wanted() == 4


def test_whether_it_pays_is_not_known_at_first():
    pace = Pace(8)
    assert pace.pays() is None
    pace.note(1, 1.0)
    assert pace.pays() is None
    pace.note(2, 1.0)
    assert pace.pays() is True

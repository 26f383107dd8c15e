"""Calls on a device go side by side; while a graph is captured nothing else does."""

import concurrent.futures
import threading

import pytest

from sardonyx.runtime.turns import Turns

SOON = 10.0
"""Seconds in which another thread surely gets there."""


def started(pool, function, *args):
    """A future of the call, once it has begun, and the event that ends it."""
    has_begun, may_end = threading.Event(), threading.Event()

    def call():
        has_begun.set()
        assert may_end.wait(SOON)
        return "ended"

    future = pool.submit(function, call, *args)
    return future, has_begun, may_end


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as made:
        yield made


def test_what_is_called_gets_its_arguments():
    turns = Turns(has_graphs=True)
    assert turns.take(divmod, 7, 2) == (3, 1)
    assert turns.take_alone(divmod, 9, 2) == (4, 1)
    with pytest.raises(ZeroDivisionError):
        turns.take_alone(divmod, 9, 0)
    assert turns.take_alone(turns.take, divmod, 9, 2) == (4, 1)


def test_plain_calls_go_side_by_side(pool):
    turns = Turns(has_graphs=False)
    first, has_begun, may_end = started(pool, turns.take)
    assert has_begun.wait(SOON)
    assert Turns(has_graphs=True).take(int, "3") == turns.take(int, "3") == 3
    may_end.set()
    assert first.result(SOON) == "ended"


def test_a_capture_waits_for_the_calls_under_way(pool):
    call, has_begun, may_end = started(pool, Turns(has_graphs=False).take)
    assert has_begun.wait(SOON)
    capture, is_captured, capture_may_end = started(pool, Turns(has_graphs=True).take_alone)
    assert not is_captured.wait(0.1)
    may_end.set()
    assert call.result(SOON) == "ended"
    assert is_captured.wait(SOON)
    capture_may_end.set()
    assert capture.result(SOON) == "ended"


@pytest.mark.parametrize("take", ["take", "take_alone"])
def test_whatever_comes_waits_for_a_capture(pool, take):
    capture, is_captured, capture_may_end = started(pool, Turns(has_graphs=True).take_alone)
    assert is_captured.wait(SOON)
    call, has_begun, may_end = started(pool, getattr(Turns(has_graphs=False), take))
    assert not has_begun.wait(0.1)
    capture_may_end.set()
    assert has_begun.wait(SOON)
    may_end.set()
    assert [capture.result(SOON), call.result(SOON)] == ["ended", "ended"]


def test_a_session_with_graphs_makes_one_call_at_a_time(pool):
    turns = Turns(has_graphs=True)
    first, has_begun, may_end = started(pool, turns.take)
    assert has_begun.wait(SOON)
    second, has_begun_too, may_end_too = started(pool, turns.take)
    assert not has_begun_too.wait(0.1)
    may_end.set()
    assert has_begun_too.wait(SOON)
    may_end_too.set()
    assert [first.result(SOON), second.result(SOON)] == ["ended", "ended"]

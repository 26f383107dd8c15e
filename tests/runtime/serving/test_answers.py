"""Futures of a batcher: taken back, waited for and called back, they harm no other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from sardonyx import runtime
from tests.runtime.serving.gate import row


def test_a_request_that_is_taken_back_leaves_its_place(gate):
    with runtime.Batcher(gate, queue=2, max_delay=0) as batcher:
        first = batcher.submit(row(1))
        assert gate.entered.wait(10)
        taken = [batcher.submit(row(n)) for n in (2, 3)]
        with pytest.raises(runtime.QueueFullError):
            batcher.submit(row(4))
        assert all(future.cancel() for future in taken)
        assert all(future.cancel() for future in taken)
        assert batcher.statistics().cancelled == 2
        # Who waits is told now, not when the batch before has ended.
        done, _ = concurrent.futures.wait(taken, 0)
        assert done == set(taken)
        later = [batcher.submit(row(n)) for n in (5, 6)]
        assert not first.cancel()
        gate.is_open.set()
        assert [future.result(10)[0].item() for future in (first, *later)] == [1, 5, 6]
        assert not later[0].cancel()
    assert gate.sizes == [1, 2]


def test_the_place_is_free_when_callers_are_told_of_the_cancellation(gate):
    with runtime.Batcher(gate, queue=1, max_delay=0) as batcher:
        batcher.submit(row(1))
        assert gate.entered.wait(10)
        again = []
        future = batcher.submit(row(2))
        future.add_done_callback(lambda _: again.append(batcher.submit(row(3))))
        assert future.cancel()
        gate.is_open.set()
        assert again[0].result(10)[0] == 3


def test_nobody_waits_for_what_was_taken_back(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=8, max_delay=30) as batcher:
        batcher._line._crowd = 2.0
        assert batcher.submit(row(1)).cancel()
        first = batcher.submit(row(2))
        assert not gate.entered.wait(0.05)
        second = batcher.submit(row(3))
        assert [future.result(10)[0].item() for future in (first, second)] == [2, 3]
    assert gate.sizes == [2]


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_a_callback_cannot_end_the_thread_that_answers(gate, caplog, error):
    def fail(_):
        raise error

    with runtime.Batcher(gate, max_batch=4, max_delay=0) as batcher:
        first, told = batcher.submit(row(1)), []
        assert gate.entered.wait(10)
        batch = [batcher.submit(row(n)) for n in (2, 3)]
        for future in (first, batch[0]):
            future.add_done_callback(fail)
            future.add_done_callback(told.append)
        gate.is_open.set()
        assert [future.result(10)[0].item() for future in (first, *batch)] == [1, 2, 3]
        assert batcher(row(4))[0] == 4
    assert told == [first, batch[0]]
    logged = [str(record.exc_info[1]) for record in caplog.records]
    assert logged == ["a callback cannot end the thread that answers requests"] * 2


def test_a_callback_may_end_the_caller_s_own_thread(gate):
    def leave(_):
        raise SystemExit

    gate.is_open.set()
    with runtime.Batcher(gate) as batcher:
        future = batcher.submit(row(1))
        future.result(10)
        with pytest.raises(SystemExit):
            future.add_done_callback(leave)


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
def test_a_model_that_wants_to_end_the_thread_fails_its_request(gate, error):
    gate.is_open.set()
    real = gate.session.run_named

    class Session:
        @staticmethod
        def run_named(feed, outputs=None):
            if feed["x"][0, 0] == 7:
                raise error
            return real(feed, outputs)

    with runtime.Batcher(gate, max_delay=0) as batcher:
        gate.session = Session
        with pytest.raises(error):
            batcher.submit(row(7)).result(10)
        assert batcher.submit(row(8)).result(10)[0] == 8
        assert batcher.statistics().failed == 1


def test_closing_cancels_all_that_wait_whatever_their_callbacks_raise(gate):
    def leave(_):
        raise SystemExit

    batcher = runtime.Batcher(gate, max_delay=0)
    first = batcher.submit(row(0))
    assert gate.entered.wait(10)
    waiting = [batcher.submit(row(n)) for n in (1, 2)]
    waiting[0].add_done_callback(leave)
    threading.Timer(0.1, gate.is_open.set).start()
    with pytest.raises(SystemExit):
        batcher.close(cancel=True)
    assert first.result(0)[0] == 0
    assert concurrent.futures.wait(waiting, 0).done == set(waiting)
    assert all(future.cancelled() for future in waiting)


@pytest.mark.parametrize(
    "ask",
    [
        lambda batcher: batcher(row(2)),
        lambda batcher: batcher.submit(row(2)).result(),
        lambda batcher: batcher.submit(row(2)).result(5),
        lambda batcher: batcher.submit(row(2)).exception(),
    ],
)
def test_the_thread_that_answers_does_not_wait_for_itself(gate, ask):
    told, is_told = [], threading.Event()

    def call_back(_):
        try:
            ask(batcher)
        except runtime.RunError as error:
            told.append(str(error))
        finally:
            is_told.set()

    with runtime.Batcher(gate, max_delay=0) as batcher:
        future = batcher.submit(row(1))
        assert gate.entered.wait(10)
        future.add_done_callback(call_back)
        gate.is_open.set()
        assert is_told.wait(10)
        assert batcher(row(3))[0] == 3
    assert told == [
        "the thread that answers requests cannot wait for one\n"
        "  found: a call of the batcher in a done-callback of one of its futures\n"
        "  try: batcher.submit(...) with a done-callback, or wait in another thread"
    ]


def test_a_call_that_is_refused_in_a_callback_is_taken_back(gate):
    def call_back(_):
        with pytest.raises(runtime.RunError):
            batcher(row(2))
        is_told.set()

    is_told = threading.Event()
    with runtime.Batcher(gate, max_delay=0) as batcher:
        future = batcher.submit(row(1))
        assert gate.entered.wait(10)
        future.add_done_callback(call_back)
        gate.is_open.set()
        assert is_told.wait(10)
    assert gate.sizes == [1]
    assert batcher.statistics().cancelled == 1


def test_a_callback_asks_and_another_one_takes_the_answer(gate):
    gate.is_open.set()
    answered = concurrent.futures.Future()
    with runtime.Batcher(gate, max_delay=0) as batcher:

        def ask_again(future):
            second = batcher.submit(future.result()[0] + 1)
            second.add_done_callback(lambda done: answered.set_result(done.result()[0].item()))

        batcher.submit(row(1)).add_done_callback(ask_again)
        assert answered.result(10) == 2

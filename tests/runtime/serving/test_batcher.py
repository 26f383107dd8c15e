"""Requests that are batched get what they would get alone, and nobody suffers from another."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from sardonyx import runtime
from sardonyx.runtime.serving.batcher import _Finish
from sardonyx.runtime.serving.pace import NEEDED
from sardonyx.runtime.serving.rows import rows_of
from tests.runtime.models import model
from tests.runtime.serving.gate import Gate, row

MLP = """g (float[batch, n] x, float[batch, m] w) => (float[batch, n] y, float[batch] z)
    { r = Relu(x) y = Add(r, r)
      axes = Constant<value_ints = [1]>() z = ReduceSum<keepdims=0>(w, axes) }"""
MIXED = """g (float[batch, n] x) => (float[batch, n] y)
    { axes = Constant<value_ints = [0]>() m = ReduceMean<keepdims=1>(x, axes) y = Sub(x, m) }"""
SUMMED = """g (float[batch, n] x) => (float[k] y)
    { axes = Constant<value_ints = [0]>() y = ReduceSum<keepdims=0>(x, axes) }"""


def test_many_threads_get_their_own_answers():
    session = runtime.load(model(MLP), threads=1)
    rng = np.random.default_rng(0)
    requests = [
        [rng.standard_normal((rows, n), np.float32), rng.standard_normal((rows, 3), np.float32)]
        for rows, n in zip([1, 2, 3] * 40, [4, 4, 4, 5] * 30, strict=True)
    ]
    with runtime.Batcher(session, max_batch=8) as batcher, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda request: batcher(*request), requests))
        figures = batcher.statistics()
    for request, answer in zip(requests, answers, strict=True):
        for y, expected in zip(answer, session(*request), strict=True):
            np.testing.assert_array_equal(y, expected)
    assert figures.requests == 120
    assert figures.rows == sum(len(request[0]) for request in requests)
    assert sum(rows * n for rows, n in figures.batches.items()) == figures.rows
    assert set(figures.latency_ms) == {"p50", "p90", "p99", "max"}
    assert figures.throughput > 0
    assert len(figures.pace_ms) == 2


def test_what_gathers_while_a_batch_runs_is_the_next_batch(gate):
    with runtime.Batcher(gate, max_batch=4, max_delay=0) as batcher:
        first = batcher.submit(row(-1, 1))
        assert gate.entered.wait(10)
        others = [batcher.submit(row(n, -n)) for n in range(1, 7)]
        gate.is_open.set()
        np.testing.assert_array_equal(first.result(10)[0], row(0, 1))
        for n, future in enumerate(others, 1):
            np.testing.assert_array_equal(future.result(10)[0], row(n, 0))
    assert gate.sizes == [1, 4, 2]


def test_requests_wait_for_as_many_as_there_were(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=8, max_delay=30) as batcher:
        assert batcher(row(1))[0] == 1  # It meets nobody, and nobody is to be expected.
        batcher._line._crowd = 4.0
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: batcher(row(n)), range(4)))
    assert gate.sizes == [1, 4]


def test_a_request_waits_no_longer_than_the_delay(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=8, max_delay=0.05) as batcher:
        batcher._line._crowd = 8.0
        assert batcher(row(1))[0] == 1
    assert gate.sizes == [1]


def test_a_request_waits_a_little_longer_after_a_long_batch(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=8, max_delay=0.001) as batcher:
        batcher(row(1))
        (group,) = batcher._line.groups.values()
        for seconds, least in ((4.0, 0.2), (0.0, 0.001)):
            group.last, batcher._line._crowd = seconds, 8.0
            started = time.monotonic()
            batcher(row(1))
            assert time.monotonic() - started >= least
    with runtime.Batcher(gate, max_delay=0) as batcher:
        assert batcher._line._delay(group) == 0


def test_a_request_waits_no_longer_than_its_latency_leaves_time(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=8, max_delay=30, max_latency=0.5) as batcher:
        batcher(row(1))
        (group,) = batcher._line.groups.values()
        for last, longest in ((0.1, 0.4), (1.0, 0.0)):
            group.last, batcher._line._crowd = last, 8.0
            assert batcher._line._delay(group) == pytest.approx(longest)
            assert batcher.submit(row(1)).result(10)[0] == 1


def test_shapes_are_batched_apart(gate):
    with runtime.Batcher(gate, max_batch=8, max_delay=0) as batcher:
        batcher.submit(row(0))
        assert gate.entered.wait(10)
        futures = [batcher.submit(np.ones((1, n), np.float32)) for n in (1, 2, 1, 2, 2)]
        gate.is_open.set()
        assert [future.result(10)[0].shape for future in futures] == [
            (1, n) for n in (1, 2, 1, 2, 2)
        ]
    assert gate.sizes == [1, 2, 3]


def test_one_bad_request_fails_alone(gate):
    gate.broken = 7
    with runtime.Batcher(gate, max_batch=8, max_delay=0) as batcher:
        batcher.submit(row(0))
        assert gate.entered.wait(10)
        futures = [batcher.submit(row(n)) for n in (5, 6, 7, 8)]
        gate.is_open.set()
        results = [future.exception(10) or future.result()[0] for future in futures]
        assert [r.item() for r in (results[0], results[1], results[3])] == [5, 6, 8]
        assert isinstance(results[2], runtime.RunError)
        assert batcher.statistics().failed == 1
        with pytest.raises(runtime.InputError):
            batcher.submit("text")
        assert batcher(row(9))[0] == 9
    assert gate.sizes == [1, 4, 1, 1, 1, 1, 1]


def crowd(gate, batcher, number):
    """Answers to so many requests that wait at once."""
    gate.is_open.clear()
    gate.entered.clear()
    batcher.submit(row(0))
    assert gate.entered.wait(10)
    futures = [batcher.submit(row(n)) for n in range(number)]
    gate.is_open.set()
    return [future.result(10)[0].item() for future in futures]


def test_a_size_that_fails_is_not_tried_again_and_again(gate):
    """Requests that run alone, but not so many at once: the size is what is bad."""
    real = gate.run_named

    def refuse_many(feed, outputs=None):
        answer = real(feed, outputs)
        if rows_of(feed) > 4:
            raise runtime.OutOfMemoryError("too many rows")
        return answer

    gate.run_named = refuse_many
    with runtime.Batcher(gate, max_batch=8, max_delay=0) as batcher:
        for _ in range(5):
            assert crowd(gate, batcher, 8) == list(range(8))
        assert batcher.statistics().failed == 0
        (known,) = batcher.statistics().pace_ms.values()
    assert gate.sizes.count(8) == NEEDED
    assert gate.sizes.count(4) >= NEEDED
    assert [rows for rows, ms in known.items() if math.isinf(ms)] == [8]


def test_a_bad_request_says_nothing_of_the_size_of_its_batch(gate):
    gate.broken = 7
    with runtime.Batcher(gate, max_batch=8, max_delay=0) as batcher:
        for _ in range(NEEDED + 1):
            with pytest.raises(runtime.RunError):
                crowd(gate, batcher, 8)
        (known,) = batcher.statistics().pace_ms.values()
    assert gate.sizes.count(8) == NEEDED + 1
    assert 8 not in known


def test_what_goes_wrong_with_an_answer_is_its_caller_s(gate, monkeypatch):
    """Whatever it is, the thread that answers goes on."""
    gate.is_open.set()

    def fail(finish, outputs):
        raise MemoryError

    with runtime.Batcher(gate, max_delay=0) as batcher:
        with monkeypatch.context() as broken:
            broken.setattr(_Finish, "__call__", fail)
            with pytest.raises(MemoryError):
                batcher.submit(row(1)).result(10)
        assert batcher.submit(row(2)).result(10)[0] == 2
        assert batcher.statistics().failed == 1


def test_delays_and_latencies_without_an_end(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=2, max_delay=math.inf, max_latency=math.inf) as batcher:
        batcher._line._crowd = 2.0
        first = batcher.submit(row(1))
        assert not gate.entered.wait(0.1)
        assert batcher.submit(row(2)).result(10)[0] == 2
        assert first.result(10)[0] == 1
    assert gate.sizes == [2]


def test_cancelled_requests_do_not_run(gate):
    with runtime.Batcher(gate, max_batch=8, max_delay=0) as batcher:
        batcher.submit(row(0))
        assert gate.entered.wait(10)
        futures = [batcher.submit(row(n)) for n in range(3)]
        assert futures[1].cancel()
        gate.is_open.set()
        assert [futures[n].result(10)[0] for n in (0, 2)] == [0, 2]
        with pytest.raises(CancelledError):
            futures[1].result(10)
        assert batcher.statistics().cancelled == 1
    assert gate.sizes == [1, 2]


def test_coroutines(relu):
    async def main():
        with runtime.Batcher(relu, max_batch=8) as batcher:
            answers = await asyncio.gather(*(batcher.run_async(row(n)) for n in range(20)))
            task = asyncio.ensure_future(batcher.run_async(row(1)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(runtime.InputError):
                await batcher.run_async(row(1), row(2))
        return answers

    assert [y.item() for (y,) in asyncio.run(main())] == list(range(20))


def test_a_full_queue_refuses(gate):
    with runtime.Batcher(gate, queue=2, max_delay=0) as batcher:
        batcher.submit(row(0))
        assert gate.entered.wait(10)
        waiting = [batcher.submit(row(n)) for n in (1, 2)]
        with pytest.raises(runtime.QueueFullError) as caught:
            batcher.submit(row(3))
        gate.is_open.set()
        assert [future.result(10)[0].item() for future in waiting] == [1, 2]
        assert batcher.statistics().refused == 1
    assert str(caught.value) == (
        "too many requests wait\n  found: 2 requests\n  expected: at most 2\n"
        "  try: ask again later, or make the batcher with a larger queue"
    )


def test_closing_answers_what_waits(gate):
    batcher = runtime.Batcher(gate, max_delay=30)
    batcher._line._crowd = 99.0
    futures = [batcher.submit(row(n)) for n in range(3)]
    gate.is_open.set()
    batcher.close()
    batcher.close()
    assert [future.result(0)[0].item() for future in futures] == [0, 1, 2]
    with pytest.raises(runtime.ClosedError, match="the batcher is closed"):
        batcher.submit(row(1))


def test_an_error_in_the_block_cancels_what_waits(gate):
    batcher = runtime.Batcher(gate, max_delay=0)
    first = batcher.submit(row(0))
    assert gate.entered.wait(10)
    second = batcher.submit(row(1))
    threading.Timer(0.1, gate.is_open.set).start()
    with pytest.raises(ZeroDivisionError), batcher:
        raise ZeroDivisionError
    assert first.result(0)[0] == 0
    assert second.cancelled()


def test_a_batcher_that_nobody_holds_ends(relu):
    batcher = runtime.Batcher(relu)
    batcher(row(1))
    thread, gone = batcher._line._thread, weakref.ref(batcher)
    del batcher
    gc.collect()
    assert gone() is None
    thread.join(10)
    assert not thread.is_alive()


def test_who_is_told_of_a_cancellation_may_wait_for_others_who_ask(gate):
    batcher = runtime.Batcher(gate, max_delay=0)
    batcher.submit(row(0))
    assert gate.entered.wait(10)
    said, in_time = [], []

    def ask(cancelled):
        asking = threading.Thread(target=lambda: said.append(_refusal(batcher)), daemon=True)
        asking.start()
        asking.join(2)
        in_time.extend(said)

    batcher.submit(row(1)).add_done_callback(ask)
    gate.is_open.set()
    batcher.close(cancel=True)
    assert in_time == ["the batcher is closed"]


def _refusal(batcher):
    with pytest.raises(runtime.ClosedError) as caught:
        batcher.submit(row(2))
    return caught.value.what


def test_large_requests_run_alone(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=2) as batcher:
        assert len(batcher(np.ones((5, 3), np.float32))[0]) == 5
    assert gate.sizes == [5]


def test_a_batch_is_small_enough_for_the_latency_asked(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=8, max_latency=0.1) as batcher:
        batcher(row(0))
        (group,) = batcher._line.groups.values()
        for rows in (1, 2, 4, 8):
            for _ in range(9):
                group.pace.note(rows, 0.02 + 0.02 * rows)
        gate.is_open.clear()
        gate.entered.clear()
        first = batcher.submit(row(0))
        assert gate.entered.wait(10)
        others = [batcher.submit(row(n)) for n in range(8)]
        gate.is_open.set()
        for future in [first, *others]:
            future.result(10)
    assert max(gate.sizes) < 8


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (MIXED, "output 'y' of a row depends on the other rows of its batch"),
        (SUMMED, "output 'y' has not a row for each row of the batch"),
        ("g (float[2, n] x) => (float[2, n] y) { y = Relu(x) }", "input 'x' has no batch axis"),
        (
            "g (float[b, n] x) => (float y) { y = ReduceSum<keepdims=0>(x) }",
            "output 'y' has no batch axis",
        ),
    ],
)
def test_models_that_cannot_be_batched(text, what):
    session = runtime.load(model(text), threads=1)
    with pytest.raises(runtime.BatchError) as caught:
        runtime.Batcher(session)
    assert caught.value.what == what


DEFAULTS = """g (float[batch, n] x, float[2, 1] w, float s) => (float[batch, n] y)
    <float[2, 1] w = {1, 1}, float s = {3}>
    { axes = Constant<value_ints = [0]>() m = ReduceMean<keepdims=1>(w, axes)
      t = Mul(x, m) y = Mul(t, s) }"""


@pytest.mark.parametrize("name", ["w", "s"])
def test_inputs_of_fixed_size_that_have_defaults_are_left_out(name):
    session = runtime.load(model(DEFAULTS), threads=1)
    given = {"w": np.ones((2, 1), np.float32), "s": np.float32(3)}[name]
    with runtime.Batcher(session) as batcher:
        assert batcher(row(1, 2))[0].tolist() == [[3, 6]]
        with pytest.raises(runtime.InputError) as caught:
            batcher.submit(x=np.ones((2, 3), np.float32), **{name: given})
    assert caught.value.input == name
    assert str(caught.value) == (
        f"input '{name}' is the same for all requests of a batch\n"
        f"  found: {'float32[2, 1]' if name == 'w' else 'float32'}\n"
        "  expected: none: the model has a default\n  try: call the session itself"
    )
    with pytest.raises(runtime.InputError, match=f"'{name}' is the same for all requests"):
        runtime.Batcher(session, sample={"x": np.ones((2, 3), np.float32), name: given})


def test_inputs_that_have_defaults_and_a_batch_are_joined_when_given():
    text = """g (float[batch, n] x, float[batch, 1] w) => (float[batch, n] y)
        <float[1, 1] w = {2}> { y = Mul(x, w) }"""
    gate = Gate(runtime.load(model(text), threads=1))
    with runtime.Batcher(gate, max_delay=0) as batcher:
        batcher.submit(row(0, 0))
        assert gate.entered.wait(10)
        given = [{"x": row(n, -n), "w": row(n)} for n in (3, 5)]
        futures = [batcher.submit(row(7, 1)), *(batcher.submit(**feed) for feed in given)]
        futures.append(batcher.submit(row(9, 4)))
        gate.is_open.set()
        answers = [future.result(10)[0].tolist() for future in futures]
    assert answers == [[[14, 2]], [[9, -9]], [[25, -25]], [[18, 8]]]
    assert gate.sizes == [1, 2, 2]


def test_samples(relu):
    mixed = runtime.load(model(MIXED), threads=1)
    with pytest.raises(runtime.BatchError, match="depends on the other rows"):
        runtime.Batcher(mixed, sample={"x": np.float32([[1, 2, 4]])})
    with pytest.raises(runtime.InputError) as caught:
        runtime.Batcher(relu, sample={"z": row(1, 2)})
    assert (caught.value.what, caught.value.kind) == ("the model has no input 'z'", "unknown")
    with pytest.raises(runtime.InputError, match="missing input 'x'"):
        runtime.Batcher(relu, sample={})
    with pytest.raises(runtime.SettingsError, match="sample is not valid"):
        runtime.Batcher(relu, sample=[row(1, 2)])
    with runtime.Batcher(relu, sample={"x": [[1.0, 2.0]]}) as batcher:
        assert batcher(row(-1))[0] == 0
    with pytest.raises(runtime.BatchError, match="no two rows that differ"):
        runtime.Batcher(mixed, sample={"x": np.ones((2, 3), np.float32)})
    gather = """g (int64[b, n] x) => (float[b, n] y)
        { t = Constant<value_floats = [1.0, 2.0]>() y = Gather(t, x) }"""
    session = runtime.load(model(gather), threads=1)
    with pytest.raises(runtime.BatchError, match="does not run on samples"):
        runtime.Batcher(session)
    with runtime.Batcher(session, sample={"x": np.array([[0, 1]])}) as batcher:
        assert batcher(np.array([[1]]))[0] == 2


@pytest.mark.parametrize(
    ("argument", "value"),
    [("max_batch", 0), ("queue", 1.5), ("max_delay", -1), ("max_latency", "")],
)
def test_wrong_arguments(relu, argument, value):
    with pytest.raises(runtime.SettingsError, match=f"{argument} is not valid"):
        runtime.Batcher(relu, **{argument: value})


def test_requests_that_cannot_be_joined():
    session = runtime.load(model(MLP), threads=1)
    with runtime.Batcher(session) as batcher:
        two, three = np.ones((2, 4), np.float32), np.ones((3, 4), np.float32)
        with pytest.raises(runtime.InputError):
            batcher.submit(two, three)
        with pytest.raises(runtime.InputError, match="cannot be joined"):
            batcher.submit(two[:0], two[:0])


def test_statistics_say_whether_batching_pays(gate):
    gate.is_open.set()
    with runtime.Batcher(gate, max_batch=2) as batcher:
        assert str(batcher.statistics()).startswith("requests    0 (0 rows)")
        batcher(row(0))
        (group,) = batcher._line.groups.values()
        assert batcher.statistics().advice == ("x[n, 1]: not known yet: batches of 1 were run",)
        for rows, seconds in ((1, 1.0), (2, 2.0)):
            for _ in range(9):
                group.pace.note(rows, seconds)
        assert "batching does not pay" in str(batcher.statistics())
        for _ in range(9):
            group.pace.note(2, 1.0)
        assert batcher.statistics().advice == (
            "x[n, 1]: batching pays: 2 rows at once do 2.00 x the rows a second of single calls",
        )

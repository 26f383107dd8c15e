"""Batchers and bound buckets in forked children: they begin anew, and nothing hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from sardonyx import runtime
from tests.runtime.models import model
from tests.runtime.serving.gate import row

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

RELU = "g (float[batch, seq] x) => (float[batch, seq] y) { y = Relu(x) }"


def child(work):
    """Whether a function returned True in a forked child; a child that hangs is ended."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            status = 0 if work() is True else 1
        os._exit(status)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the child hangs")


@contextlib.contextmanager
def held(*locks):
    """Another thread holds these locks."""
    are_held, done = threading.Event(), threading.Event()

    def hold():
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            are_held.set()
            assert done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert are_held.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


def refusal(future):
    """What a future in a child says; None for anything but an error of the runtime."""
    try:
        future.result(10)
    except runtime.RunError as error:
        return str(error)
    return None


def test_a_forked_child_starts_with_an_empty_line(gate):
    """What waits is the parent's; locks that are held while it forks do not matter."""
    gate.session.run_named = lambda feed, outputs=None: {"y": np.maximum(feed["x"], 0)}
    with runtime.Batcher(gate, max_delay=0) as batcher:
        running = batcher.submit(row(1))
        assert gate.entered.wait(10)
        waiting = batcher.submit(row(2))
        told = []
        waiting.add_done_callback(told.append)

        def work():
            said = {refusal(future) for future in (running, waiting)}
            gate.is_open.set()
            answer = batcher.submit(row(-3, 4)).result(10)[0].tolist()
            batcher.close()
            is_left_alone = not told and not waiting.cancel()
            expected = (
                "the request was made before this process was forked\n"
                "  try: wait for it in the parent process, or ask again in the child"
            )
            return said == {expected} and answer == [[0, 4]] and is_left_alone

        line = batcher._line
        locks = [line._changed, line.tally._lock, running._condition, waiting._condition]
        with held(*locks):
            assert child(work)
        gate.is_open.set()
        assert [future.result(10)[0].item() for future in (running, waiting)] == [1, 2]
        assert told == [waiting]


def test_what_was_answered_or_cancelled_before_the_fork_stays_so(gate):
    with runtime.Batcher(gate, max_delay=0) as batcher:
        gate.is_open.set()
        answered = batcher.submit(row(3))
        answered.result(10)
        gate.is_open.clear()
        gate.entered.clear()
        batcher.submit(row(1))
        assert gate.entered.wait(10)
        cancelled = batcher.submit(row(2))
        cancelled.cancel()
        assert child(lambda: answered.result(0)[0].item() == 3 and cancelled.cancelled())
        gate.is_open.set()


def test_a_closed_batcher_is_closed_in_the_child(relu):
    batcher = runtime.Batcher(relu)
    batcher.close()

    def work():
        with pytest.raises(runtime.ClosedError):
            batcher.submit(row(1))
        return True

    assert child(work)


def test_a_session_that_the_child_cannot_have_is_refused_by_the_future(relu):
    with runtime.Batcher(relu, max_delay=0) as batcher:
        assert batcher(row(1))[0] == 1

        def work():
            said = refusal(batcher.submit(row(2)))
            return said is not None and said.startswith("the session was made before this process")

        assert child(work)


@pytest.fixture
def buckets(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(RELU))
    session = runtime.load(path, threads=1)
    sample = {"x": np.ones((1, 3), np.float32)}
    return runtime.Buckets(session, {"seq": [4, 8]}, samples=[sample], bind=True)


def test_bound_buckets_bind_anew_in_the_child(buckets):
    """Those that the parent bound, or is in a call of, are bound again; the parent's stay."""
    x = np.random.default_rng(0).standard_normal((2, 7), np.float32)
    expected = np.maximum(x, 0)

    def work():
        return all(np.array_equal(buckets(x[:, :n])[0], expected[:, :n]) for n in (3, 7, 2))

    assert buckets(x[:, :3])[0].shape == (2, 3)
    ((bound, lock),) = buckets._bound._calls.values()
    with held(lock, buckets._bound._lock, bound._lock):
        assert child(work)
    assert work()
    assert buckets._bound._calls[(("x", (2, 4)),)][0] is bound


def test_a_batcher_of_bound_buckets_works_in_the_child(buckets):
    with runtime.Batcher(buckets, max_delay=0) as batcher:
        x = np.float32([[1, -2, 3]])
        assert batcher(x)[0].tolist() == [[1, 0, 3]]
        assert child(lambda: batcher.submit(-x).result(10)[0].tolist() == [[0, 2, 0]])


def test_a_child_deletes_bound_buckets_and_exits_as_it_wants(run_python, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(RELU))
    code = f"""
import gc, os, sys
import numpy as np
from sardonyx import runtime
x = np.ones((1, 3), np.float32)
session = runtime.load({str(path)!r}, threads=2)
buckets = runtime.Buckets(session, {{"seq": [4]}}, samples=[{{"x": x}}], bind=True)
buckets(x)
pid = os.fork()
if pid == 0:
    assert buckets(x)[0].tolist() == [[1, 1, 1]]
    del buckets, session
    gc.collect()
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), buckets(x)[0].tolist())
"""
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    assert run_python(code, *flags) == "7 [[1.0, 1.0, 1.0]]"

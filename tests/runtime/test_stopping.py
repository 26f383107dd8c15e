"""Calls that are given up: by Ctrl-C, by a time limit, by whoever waits for a future."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

import numpy as np
import pytest

from sardonyx import runtime

from .models import LOOP, model

FOREVER = 2**62


@pytest.fixture(scope="module")
def session():
    return runtime.load(model(LOOP))


def works(session):
    return session(3, 1.0)[0] == 4


INTERRUPTED = f"""
import os, signal, threading, time
from sardonyx import runtime
session = runtime.load({model(LOOP)!r})

def soon(number):
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()

"""


@pytest.mark.parametrize(
    "call",
    [
        f"session({FOREVER}, 0.0)",
        f"session.run({FOREVER}, 0.0, timeout=50)",
        f"session.run_named({{'n': {FOREVER}, 'x': 0.0}})",
        f"session.run_async({FOREVER}, 0.0).result()",
    ],
)
def test_an_interrupt_ends_a_call_and_the_session_lives_on(run_python, call):
    code = f"""{INTERRUPTED}
soon(signal.SIGINT)
try:
    {call}
except KeyboardInterrupt as error:
    print(error.__context__, session(3, 1.0)[0], signal.set_wakeup_fd(-1))
"""
    assert run_python(code) == "None 4.0 -1"


def test_a_handler_that_raises_ends_a_call_and_one_that_does_not_lets_it_end(run_python):
    code = f"""{INTERRUPTED}
class Enough(Exception):
    pass

def enough(number, frame):
    raise Enough

seen = []
signal.signal(signal.SIGTERM, enough)
soon(signal.SIGTERM)
try:
    session({FOREVER}, 0.0)
except Enough as error:
    print(error.__context__)
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
while not seen:
    assert session(20_000, 0.0)[0] == 20_000
print(len(seen))
"""
    assert run_python(code) == "None\n1"


def test_a_wakeup_descriptor_of_others_is_left_to_them(run_python):
    code = f"""{INTERRUPTED}
import socket
reader, writer = socket.socketpair()
writer.setblocking(False)
signal.set_wakeup_fd(writer.fileno())
soon(signal.SIGINT)
try:
    session({FOREVER}, 0.0)
except KeyboardInterrupt:
    print(session(3, 1.0)[0], reader.recv(9), signal.set_wakeup_fd(-1) == writer.fileno())
"""
    assert run_python(code) == "4.0 b'\\x02' True"


@pytest.mark.parametrize("owner", ["nobody", "another library"])
def test_what_a_handler_raises_is_not_taken_for_onnx_runtimes(run_python, owner):
    code = f"""{INTERRUPTED}
import itertools, socket

def enough(number, frame):
    raise kind("terminate flag")

ends = socket.socketpair()
ends[1].setblocking(False)
if {owner!r} != "nobody":
    signal.set_wakeup_fd(ends[1].fileno(), warn_on_full_buffer=False)
signal.signal(signal.SIGTERM, enough)
calls = [
    lambda: session({FOREVER}, 0.0),
    lambda: session.run({FOREVER}, 0.0, timeout=50),
    lambda: session.bind({FOREVER}, 0.0),
]
kinds = [RuntimeError, ValueError, TypeError, MemoryError]
for call, kind in [*itertools.product(calls[:1], kinds), *zip(calls[1:], kinds)]:
    soon(signal.SIGTERM)
    try:
        call()
    except kind as error:
        print(error, session(3, 1.0)[0])
"""
    assert run_python(code).splitlines() == ["terminate flag 4.0"] * 6


def test_no_signal_is_lost_to_whoever_has_the_wakeup_descriptor(run_python):
    code = f"""{INTERRUPTED}
import signal as module, socket
from sardonyx.runtime import interrupts
reader, writer = socket.socketpair()
writer.setblocking(False)
module.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
module.signal(signal.SIGUSR1, lambda number, frame: None)
real, warned = interrupts.set_wakeup_fd, []

def taken(descriptor, **options):
    # The signal comes after the descriptor was taken, and before it is given back.
    before = real(descriptor, **options)
    if before == writer.fileno():
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(wait)
    else:
        warned.append(options)
    return before

interrupts.set_wakeup_fd = taken
for wait in [0.0, 0.02] * 5:
    assert session(3, 1.0)[0] == 4
    assert reader.recv(9) == bytes([signal.SIGUSR1])
module.set_wakeup_fd(-1)
os.kill(os.getpid(), signal.SIGUSR1)
assert session(3, 1.0)[0] == 4
module.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
interrupts.set_wakeup_fd = real
session(3, 1.0)
reader.setblocking(False)
try:
    print(reader.recv(9))
except BlockingIOError:
    print(warned[:10] == [dict(warn_on_full_buffer=False)] * 10)
"""
    assert run_python(code) == "True"


def test_a_call_begins_again_once_for_handlers_that_do_not_raise(run_python):
    code = f"""{INTERRUPTED}
from sardonyx.runtime import engine
seen, begun, started = [], [], engine.start
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))

def start(*args, **options):
    begun.append(args)
    return started(*args, **options)

engine.start = start
began = time.monotonic()
session(20_000, 0.0)
n = int(20_000 * max(0.5 / (time.monotonic() - began), 1))
assert not begun

def often():
    for _ in range(20):
        time.sleep(0.03)
        os.kill(os.getpid(), signal.SIGTERM)

sender = threading.Thread(target=often)
sender.start()
assert session(n, 0.0)[0] <= n
sender.join()
print(len(begun), len(seen) > 1)
"""
    assert run_python(code) == "1 True"


@pytest.mark.skipif(not hasattr(asyncio, "Runner"), reason="Python 3.11 began to handle Ctrl-C so")
def test_ctrl_c_under_asyncio_ends_the_loop_after_the_call(run_python):
    code = f"""{INTERRUPTED}
import asyncio
async def main():
    soon(signal.SIGINT)
    print(session(60_000, 0.0)[0] == 60_000)
    await asyncio.sleep(50)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run_python(code).splitlines() == ["True", "interrupted"]


@pytest.mark.parametrize("run", ["run", "run_named"])
def test_a_time_limit_ends_a_call(session, run):
    def call(n, limit):
        if run == "run":
            return session.run(n, 1.0, timeout=limit)[0]
        return session.run_named({"n": n, "x": 1.0}, timeout=limit)["y"]

    started = time.monotonic()
    with pytest.raises(runtime.RunTimeoutError) as caught:
        call(FOREVER, 0.25)
    assert time.monotonic() - started >= 0.25
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, runtime.RunError)
    assert (
        str(caught.value)
        == f"""the call did not end within 0.25 s
  where: a model of {len(model(LOOP))} bytes
  try: give it more time; the session can be used as before"""
    )
    assert works(session)
    assert call(4, 60) == 5


@pytest.mark.parametrize("limit", [float("inf"), 1e12, 10**400, np.float64("inf")], ids=repr)
def test_a_time_limit_may_be_longer_than_any_call(session, limit):
    assert session.run(3, 1.0, timeout=limit)[0] == 4


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "1", True])
def test_a_time_limit_is_a_positive_number(session, limit):
    with pytest.raises(runtime.InputError, match="time limit of a call is a number of seconds"):
        session.run(3, 1.0, timeout=limit)


def test_errors_within_a_time_limit_are_those_of_a_call():
    text = "g (float[n] x, int64[1] s) => (float[m] y) { y = Reshape(x, s) }"
    session = runtime.load(model(text))
    with pytest.raises(runtime.InputError, match="missing input 's'"):
        session.run([1.0], timeout=60)
    with pytest.raises(runtime.RunError, match="failed to run"):
        session.run([1.0], [2], timeout=60)


def test_futures_give_what_calls_give(session):
    futures = [session.run_async(n, float(n)) for n in range(40)]
    assert [float(future.result(60)[0]) for future in futures] == [2.0 * n for n in range(40)]
    with pytest.raises(runtime.InputError, match="missing input 'x'"):
        session.run_async(3)


def test_a_cancelled_future_stops_its_run(session):
    future = session.run_async(FOREVER, 0.0)
    while not future.running():
        time.sleep(0.01)
    assert not future.done()
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(30)
    # As the futures of the standard library.
    assert future.cancelled()
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.exception()
    assert works(session)
    ended = session.run_async(3, 1.0)
    ended.result(60)
    assert not ended.cancel()
    assert not ended.cancelled()
    assert ended.exception() is None


@pytest.mark.parametrize("wait", ["result", "exception"])
def test_whoever_is_interrupted_while_waiting_stops_the_call(run_python, wait):
    code = f"""{INTERRUPTED}
class Enough(Exception):
    pass

def enough(number, frame):
    raise Enough

signal.signal(signal.SIGTERM, enough)
for number, kind in [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Enough)]:
    future = session.run_async({FOREVER}, 0.0)
    try:
        future.{wait}(0.05)
    except TimeoutError:
        assert future.running()
    soon(number)
    try:
        future.{wait}()
    except kind:
        try:
            future.result(30)
        except __import__("concurrent.futures").futures.CancelledError:
            print(future.cancelled(), session(3, 1.0)[0])
"""
    assert run_python(code).splitlines() == ["True 4.0"] * 2


def test_a_call_that_gets_no_thread_is_refused(run_python):
    code = f"""{INTERRUPTED}
import atexit
session(3, 1.0)
def late():
    print(session(3, 1.0)[0])
    for call in (lambda: session.run(3, 1.0, timeout=9), lambda: session.run_async(3, 1.0)):
        try:
            call()
        except runtime.RunError as error:
            print(error)
atexit.register(late)
"""
    refusal = """no other thread can make this call
  found: cannot schedule new futures after interpreter shutdown
  try: call the session itself, without a time limit"""
    assert run_python(code) == f"4.0\n{refusal}\n{refusal}"


def test_coroutines_wait_for_calls(session):
    async def main():
        calls = (asyncio.wrap_future(session.run_async(n, 0.0)) for n in range(5))
        results = await asyncio.gather(*calls)
        endless = session.run_async(FOREVER, 0.0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(endless), 0.1)
        return [float(y) for (y,) in results], endless

    results, endless = asyncio.run(main())
    assert results == [0, 1, 2, 3, 4]
    with pytest.raises(concurrent.futures.CancelledError):
        endless.result(30)


def test_other_threads_go_on_while_one_is_stopped(session):
    endless = session.run_async(FOREVER, 0.0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: float(session(n, 1.0)[0]), range(100)))
    endless.cancel()
    np.testing.assert_array_equal(results, np.arange(100) + 1.0)

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
    assert not future.cancel()
    assert works(session)


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

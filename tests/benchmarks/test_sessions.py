"""The stress of sessions runs, on small numbers; what it finds is for benchmarks to say."""

from __future__ import annotations

import subprocess
import sys
import time
from argparse import Namespace

import pytest

from benchmarks import session_contenders, sessions

SMALL = Namespace(threads=1, rounds=1, seconds=0.01, callers=4, runs=5, models=["mlp"])

BUSY = """
import threading
def work():
    while True: pass
for _ in range(2): threading.Thread(target=work).start()
"""


def test_contenders_are_timed_in_turn():
    rows = sessions.overhead(SMALL)
    assert [row["contender"].split(",")[0] for row in rows] == ["onnxruntime", *2 * ["sardonyx"]]
    assert all(row["us"] > 0 for row in rows)
    assert rows[0]["times the first"] == "1.00 (1.00 - 1.00)"


def test_contenders_start_in_a_thread_with_a_session_before():
    assert len(sessions.denormals(SMALL)) == 4


def test_threads_agree():
    (row,) = sessions.bits(SMALL)
    assert row == {"threads": 4, "runs of each": 5, "results that differ": 0}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_quota_holds_a_process():
    child = subprocess.Popen([sys.executable, "-c", BUSY])
    quota = session_contenders.Quota(child.pid, 0.5)
    try:
        with quota:
            time.sleep(0.5)
            before = quota._used()
            time.sleep(2)
            used = quota._used() - before
    finally:
        child.kill()
        child.wait()
    assert 0 < used < 1.5

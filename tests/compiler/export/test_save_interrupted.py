"""Processes that are killed while they save, that save to one path, that read while others save."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sardonyx import runtime
from sardonyx.compiler.export import save
from sardonyx.compiler.export.files import only_writer
from tests.compiler.export.test_save import (
    child_environment,
    digest_holds,
    held_by,
    linear,
    to_digest,
)
from tests.support.models import normal

ROWS = 20_000
NURSERY = f"""
import os, sys
from sardonyx.compiler.export import save
from tests.compiler.export.test_save import linear

models = [linear(seed, {ROWS}) for seed in (0, 1)]
print("ready", flush=True)
for line in sys.stdin:
    path, external_data = line.rsplit(maxsplit=1)
    if path == "wait":
        os.waitpid(int(external_data), 0)
        print("gone", flush=True)
        continue
    child = os.fork()
    if not child:
        try:
            while True:
                for each in models:
                    save(each, path, external_data == "True")
        finally:
            os._exit(3)
    print(child, flush=True)
"""


class Nursery:
    """A process whose children save two models in turn, for ever."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    @contextlib.contextmanager
    def saving(self, path: Path, external_data: bool) -> Iterator[None]:
        """Let a child save meanwhile, and kill it in the midst of that."""
        child = int(self._ask(f"{path} {external_data}"))
        try:
            yield
        finally:
            os.kill(child, signal.SIGKILL)
            assert self._ask(f"wait {child}") == "gone"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", NURSERY],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield Nursery(process)
    process.communicate()


def check_killed(nursery: Nursery, folder: Path, external_data: bool, kills: int) -> None:
    path = folder / "net.onnx"
    whole = {to_digest(linear(seed, ROWS)) for seed in (0, 1)}
    save(linear(0, ROWS), path, external_data)
    chance = random.Random(kills)
    seen = set()
    for _ in range(kills):
        with nursery.saving(path, external_data):
            time.sleep(chance.uniform(0.0, 0.15))
        assert digest_holds(path.read_bytes())
        assert runtime.check_integrity(path)
        seen.add(held_by(path))
        data = {path} if not external_data else {path, *folder.glob("net.onnx-*.data")}
        others = set(folder.iterdir()) - data
        assert all(other.name.startswith(".sardonyx-") for other in others)
        for other in others:
            other.unlink()
    assert seen <= whole
    assert kills < 50 or seen == whole


@pytest.mark.parametrize("external_data", [False, True])
def test_a_killed_process_leaves_a_complete_model(nursery, tmp_path, external_data):
    check_killed(nursery, tmp_path, external_data, 5)


@pytest.mark.slow
@pytest.mark.parametrize("external_data", [False, True])
def test_killed_a_hundred_times(nursery, tmp_path, external_data):
    check_killed(nursery, tmp_path, external_data, 100)


@pytest.mark.parametrize("external_data", [False, True])
def test_a_reader_beside_two_writers_sees_whole_models(nursery, tmp_path, external_data):
    path = tmp_path / "net.onnx"
    save(linear(0, ROWS), path, external_data)
    x = normal(1, ROWS, seed=7)
    right = [x @ normal(ROWS, 32, seed=seed) + normal(32, seed=seed + 1) for seed in (0, 1)]
    seen = set()
    with nursery.saving(path, external_data), nursery.saving(path, external_data):
        began = time.monotonic()
        # A busy machine takes longer to show both.
        while (spent := time.monotonic() - began) < 2 or (len(seen) < 2 and spent < 60):
            (y,) = runtime.load(path, threads=1)(x)
            is_close = [np.allclose(y, each, rtol=1e-3, atol=1e-2) for each in right]
            assert sum(is_close) == 1
            seen.add(is_close.index(True))
    assert seen == {0, 1}


def test_writers_put_their_files_in_place_one_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    save(linear(0), path, external_data=True)
    monkeypatch.setattr("sardonyx.compiler.export.files._PATIENCE", 0.05)
    with only_writer(tmp_path) as is_alone:
        assert is_alone
        with only_writer(tmp_path) as is_second_alone:
            assert not is_second_alone
        # Whoever cannot have the lock saves all the same, and removes nothing.
        save(linear(1), path, external_data=True)
        assert len(list(tmp_path.glob("*.data"))) == 2
    assert held_by(path) == to_digest(linear(1))
    save(linear(2), path, external_data=True)
    assert held_by(path) == to_digest(linear(2))
    assert len(list(tmp_path.glob("*.data"))) == 2


def test_what_could_not_be_put_in_place_leaves_no_data(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    save(linear(0), path, external_data=True)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    replace = os.replace

    def replace_data_only(source: Path, target: Path) -> None:
        if target == path:
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_data_only)
    with pytest.raises(Exception, match="The model cannot be written"):
        save(linear(1), path, external_data=True)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before

"""The store of entries: bounded, whole or absent, and free of what dead processes left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sardonyx.runtime import locks
from sardonyx.runtime.store import CHUNK, PAGE, DamagedError, Store, checksum
from tests.meta.imports import ROOTS

KEYS = [letter * 64 for letter in "abcd"]

HOLDER = """
import pathlib, sys, time
from sardonyx.runtime.store import Store
store, key = Store(pathlib.Path(sys.argv[1]), 1 << 20), sys.argv[2]
def write(folder):
    (folder / "half").write_bytes(b"x")
    print("held", flush=True)
    time.sleep(60)
with store.making(key) as is_mine:
    assert is_mine
    store.add(key, write)
"""


def add(store: Store, key: str, size: int):
    """Add an entry of one file."""
    return store.add(key, lambda folder: (folder / "x").write_bytes(bytes(size)) and {"n": size})


def test_what_is_used_least_goes(tmp_path):
    store = Store(tmp_path, 250)
    for age, key in zip((30, 20, 10), KEYS, strict=False):
        entry = add(store, key, 100 if age > 10 else 50)
        os.utime(entry.folder / "entry.json", (time.time() - age,) * 2)
    assert {entry.key for entry in store.entries()} == set(KEYS[:3])
    store.find(KEYS[0]).touch()
    add(store, KEYS[3], 90)
    assert [store.find(key) is not None for key in KEYS] == [True, False, True, True]
    assert sum(entry.bytes for entry in store.entries()) <= 250
    assert not list(tmp_path.glob("*.part"))
    assert store.clear() == 3
    assert store.entries() == []


def test_an_entry_is_replaced_as_a_whole(tmp_path):
    store = Store(tmp_path, 1000)
    add(store, KEYS[0], 10)
    old = open(store.find(KEYS[0]).folder / "x", "rb")  # noqa: SIM115
    add(store, KEYS[0], 20)
    assert len(old.read()) == 10
    old.close()
    assert store.find(KEYS[0]).facts == {"n": 20}


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    store = Store(tmp_path, 1000)

    def write(folder):
        (folder / "x").write_bytes(b"1")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.add(KEYS[0], write)
    assert list(tmp_path.iterdir()) == []


def test_damaged_manifests_are_swept(tmp_path):
    store = Store(tmp_path, 1000)
    entry = add(store, KEYS[0], 10)
    (entry.folder / "entry.json").write_text("{")
    assert store.find(KEYS[0]) is None
    store.trim()
    assert not entry.folder.exists()


def test_entries_without_bytes_and_notes_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("sardonyx.runtime.store.MOST", 3)
    store = Store(tmp_path, 1000)
    for age, letter in zip(range(50, 0, -10), "abcde", strict=True):
        entry = store.add(letter * 64, lambda folder: {"refusal": "none"})
        os.utime(entry.folder / "entry.json", (time.time() - age,) * 2)
        store.note(letter * 64, letter)
        os.utime(tmp_path / "sources" / f"{letter * 64}.json", (time.time() - age,) * 2)
    assert [entry.key[0] for entry in store.entries()] == ["e", "d", "c"]
    assert store.noted("e" * 64) == "e"
    assert {path.stem[0] for path in (tmp_path / "sources").iterdir()} == set("cde")
    assert store.clear() == 3
    assert [path.name for path in tmp_path.rglob("*")] == ["sources"]


def test_names_of_other_forms_stay(tmp_path):
    store = Store(tmp_path, 0)
    (tmp_path / "sources").mkdir()
    names = ["a" * 63, "G" * 64, f"{'A' * 64}.lock", "uv.lock", f"{'a' * 64}.0.part", "b" * 64]
    names += [f"sources/{name}" for name in ("x.json", f"{'a' * 64}.txt", f"{'a' * 64}.json.part")]
    for name in names:
        (tmp_path / name).write_text(name)
    add(store, KEYS[0], 10)
    store.note(KEYS[0], "note")
    assert store.clear() == 1
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {*names, "sources"}


def test_what_a_reader_left_half_removed_is_swept(tmp_path):
    """A process that dies while it takes an entry away leaves no lock behind."""
    store = Store(tmp_path, 1000)
    aside = tmp_path / f"{KEYS[0]}.{'0' * 16}.part"
    aside.mkdir()
    (aside / "x").write_bytes(b"x")
    add(store, KEYS[1], 10)
    assert [path.name for path in tmp_path.iterdir()] == [KEYS[1]]


def test_an_entry_is_held_until_it_is_taken_away_or_made_anew(tmp_path):
    store = Store(tmp_path, 1000)
    first = add(store, KEYS[0], 10)
    assert store.holds(first)
    second = store.add(KEYS[0], lambda folder: (folder / "x").write_bytes(bytes(10)) and {"n": 1})
    assert (store.holds(first), store.holds(second)) == (False, True)
    (second.folder / "x").write_bytes(b"")
    assert not store.holds(second)
    store.discard(second)
    assert not store.holds(second)


def test_a_lock_dies_with_its_owner(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS.values()))}
    command = [sys.executable, "-c", HOLDER, str(tmp_path), KEYS[0]]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        lock = tmp_path / f"{KEYS[0]}.lock"
        with locks.locked(lock, 0.1) as is_held:
            assert not is_held
        store = Store(tmp_path, 1000)
        store.trim()  # It does not take away what a living process writes.
        assert len(list(tmp_path.glob("*.part"))) == 1
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=10)
    with store.making(KEYS[0]) as is_mine:
        assert is_mine
        assert not list(tmp_path.glob("*.part"))
    assert lock.exists()
    store.trim()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_was_deleted_is_not_held(tmp_path, monkeypatch):
    path, calls = tmp_path / "a.lock", []
    real = locks._try

    def deletes_once(handle):
        if not calls:
            path.unlink()
        calls.append(handle)
        return real(handle)

    monkeypatch.setattr(locks, "_try", deletes_once)
    with locks.locked(path, 1) as is_held:
        assert is_held
        assert path.exists()
    assert len(calls) == 2


def test_checks_find_what_changed(tmp_path):
    store = Store(tmp_path, 1 << 30)
    rng = np.random.default_rng(0)
    data = rng.bytes(3 * CHUNK + 5 * PAGE + 7)
    entry = store.add(KEYS[0], lambda folder: (folder / "x").write_bytes(data) and {})
    path = entry.folder / "x"
    entry.check("x", 3)
    for place in [0, PAGE - 1, CHUNK, 3 * CHUNK - 1, 3 * CHUNK, len(data) - 1]:
        for bit in (1, 128):
            changed = bytearray(data)
            changed[place] ^= bit
            path.write_bytes(changed)
            with pytest.raises(DamagedError, match="x is not as it was written"):
                entry.check("x", 3)
    for length in (0, len(data) - 1, len(data) + PAGE):
        path.write_bytes(data[:length].ljust(length, b"\0"))
        with pytest.raises(DamagedError, match="bytes instead of"):
            entry.check_lengths()


def test_a_checksum_is_the_same_with_any_number_of_threads(tmp_path):
    path = tmp_path / "x"
    for size in (0, 1, PAGE, CHUNK, CHUNK + 1, 5 * CHUNK + PAGE + 3):
        path.write_bytes(np.random.default_rng(size).bytes(size))
        assert checksum(path, 1) == checksum(path, 3)
        assert checksum(path, 1)["bytes"] == size

"""Prepared models: the second session is the first one again, whatever happens to the files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sardonyx import runtime
from sardonyx.runtime import content, prepared
from sardonyx.runtime.prepared import FOLDER
from sardonyx.runtime.store import MANIFEST, Store
from tests.meta.imports import ROOTS

from .artifacts import MODELS, write
from .models import AFFINE, model, unary
from .test_integrity import flip

INPUTS = {
    "linear": [(5, 64)],
    "block": [(2, 7, 24)],
    "branches": [(), (2,)],
    "convolutions": [(3, 3, 12, 12)],
}


def inputs(name):
    """Random inputs of a model of ``MODELS``."""
    rng = np.random.default_rng(1)
    made = [rng.standard_normal(shape, np.float32) for shape in INPUTS[name]]
    return [np.bool_(True), *made[1:]] if name == "branches" else made


def settle(path: Path) -> Path:
    """Give the files of a folder a time long ago, as those of most models have."""
    for file in path.parent.iterdir():
        os.utime(file, (1, 1))
    return path


def entry(folder: Path) -> Path:
    """The only entry of a cache."""
    (found,) = [path.parent for path in folder.glob(f"{FOLDER}/*/{MANIFEST}")]
    return found


def loads(source, folder, **options):
    """A session, and whether its model was prepared now."""
    session = runtime.load(source, cache=folder, **options)
    assert session.prepared.folder is not None, session.prepared.what
    return session, session.prepared.what == "prepared now"


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_second_session_is_the_first(name, beside, tmp_path):
    path = write(name, tmp_path / "model", beside)
    plain = runtime.load(path)
    assert plain.prepared.what == "off"
    sessions = [loads(path, tmp_path / "cache") for _ in range(3)]
    assert [is_new for _, is_new in sessions] == [True, False, False]
    expected = plain(*inputs(name))
    for session, _ in sessions:
        assert (session.inputs, session.outputs) == (plain.inputs, plain.outputs)
        assert session.metadata == plain.metadata
        assert str(session.settings) == str(plain.settings)
        for y, z in zip(session(*inputs(name)), expected, strict=True):
            np.testing.assert_array_equal(y, z)


def test_bytes_and_inputs_with_defaults(tmp_path):
    text = """g (float[n] x, float[2] w = {1.0, 2.0}) => (float[n] y, float s)
        { y = Mul(x, w) s = ReduceSum<keepdims=0>(y) }"""
    data = model(text)
    assert loads(data, tmp_path)[1]
    session, is_new = loads(data, tmp_path)
    assert not is_new
    assert [spec.required for spec in session.inputs] == [True, False]
    assert session.outputs[1].shape == ()
    np.testing.assert_array_equal(session(np.float32([3, 4]))[0], [3, 8])
    np.testing.assert_array_equal(session(np.float32([3, 4]), np.float32([0, 5]))[0], [0, 20])


def test_what_makes_another_entry(tmp_path, monkeypatch):
    data = unary("Relu", 1)
    assert loads(data, tmp_path)[1]
    assert loads(unary("Neg", 1), tmp_path)[1]
    assert loads(data, tmp_path, graph_optimization="basic")[1]
    assert loads(data, tmp_path, disabled_optimizers=["ConstantFolding"])[1]
    assert loads(data, tmp_path, config={"session.set_denormal_as_zero": "0"})[1]
    assert not loads(data, tmp_path, threads=1)[1]
    monkeypatch.setattr(prepared, "cpu_and_features", lambda: ("another CPU", ("avx512f",)))
    assert loads(data, tmp_path)[1]
    monkeypatch.setattr(prepared, "onnxruntime_versions", lambda: {"onnxruntime": "9"})
    assert loads(data, tmp_path)[1]


def test_any_flipped_bit_makes_it_anew(tmp_path):
    path = settle(write("block", tmp_path / "model"))
    cache = tmp_path / "cache"
    (expected,) = loads(path, cache)[0](*inputs("block"))
    random = np.random.default_rng(3)
    for name in sorted(file.name for file in entry(cache).iterdir()) * 4:
        is_weights = name.endswith(".bin")
        (file,) = entry(cache).glob("*.bin" if is_weights else name)
        flip(file, int(random.integers(file.stat().st_size * 8)))
        session, is_new = loads(path, cache)
        assert is_new
        np.testing.assert_array_equal(session(*inputs("block"))[0], expected)
        assert not loads(path, cache)[1]


@pytest.mark.parametrize("damage", ["shorter", "longer", "empty", "missing"])
@pytest.mark.parametrize("pattern", [MANIFEST, "*.onnx", "*.bin"])
def test_any_other_damage_makes_it_anew(damage, pattern, tmp_path):
    path = write("linear", tmp_path / "model")
    cache = tmp_path / "cache"
    (expected,) = loads(path, cache)[0](*inputs("linear"))
    (file,) = entry(cache).glob(pattern)
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        changed = {"shorter": data[:-1], "longer": data + b"\0", "empty": b""}[damage]
        file.write_bytes(changed)
    session, is_new = loads(path, cache)
    assert is_new
    np.testing.assert_array_equal(session(*inputs("linear"))[0], expected)


def test_a_changed_model_is_noticed(tmp_path):
    path, cache = settle(write("linear", tmp_path / "model", True)), tmp_path / "cache"
    for _ in range(2):
        loads(path, cache)
    (weights,) = path.parent.glob("*.data")
    for file in (path, weights):
        data = file.read_bytes()
        flip(file, 8 * len(data) // 2)
        with pytest.raises(runtime.IntegrityError):
            runtime.load(path, cache=cache)
        file.write_bytes(data)
        assert not loads(path, cache)[1]
    weights.unlink()
    with pytest.raises(runtime.LoadError, match="weights of the model cannot be read"):
        runtime.load(path, cache=cache)


def test_what_was_read_is_believed_only_when_it_is_old(tmp_path, monkeypatch):
    path, cache = write("linear", tmp_path / "model"), tmp_path / "cache"
    store = Store(cache / FOLDER, 1 << 30)
    loads(path, cache)
    assert not (store.folder / "sources").exists()  # Its ctime is from just now.
    with monkeypatch.context() as later:
        later.setattr(content, "SETTLED", -(10**12))
        loads(path, cache)
        assert content.remembered(store, str(path), is_checked=True) is not None
    assert content.remembered(store, str(path), is_checked=True) is None
    monkeypatch.setattr(content, "SETTLED", -(10**12))
    (said,) = (store.folder / "sources").iterdir()
    noted = json.loads(said.read_text())
    noted["said"]["digest"] = "0" * 64
    said.write_text(json.dumps(noted))
    assert content.remembered(store, str(path), is_checked=True) is None


def test_eight_processes_on_a_cold_cache(tmp_path):
    path, cache = write("block", tmp_path / "model"), tmp_path / "cache"
    script = """
import sys, hashlib
import numpy as np
from sardonyx import runtime
path, cache, gate = sys.argv[1:]
x = np.random.default_rng(1).standard_normal((2, 7, 24), np.float32)
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
session = runtime.load(path, cache=cache, threads=1)
print(session.prepared.what.split()[0], hashlib.sha256(session(x)[0].tobytes()).hexdigest())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS.values()))}
    command = [sys.executable, "-c", script, str(path), str(cache), "gate"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = [subprocess.Popen(command, env=environment, text=True, **pipes) for _ in range(8)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    answers = [child.communicate("go\n", timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 8, answers
    assert [error for _, error in answers] == [""] * 8
    words = [out.split() for out, _ in answers]
    assert len({row[-1] for row in words}) == 1
    assert sorted(row[0] for row in words) == ["from"] * 7 + ["prepared"]
    assert not list(cache.rglob("*.part"))
    # Another cold cache gets the same files.
    loads(path, tmp_path / "second")
    one, two = (
        {f.suffix: _sha(f) for f in entry(c).iterdir() if f.name != MANIFEST}
        for c in (cache, tmp_path / "second")
    )
    assert one[".bin"] == two[".bin"]


def _sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_threads_on_a_cold_cache(tmp_path):
    data, found = unary("Relu", 1), []
    threads = [
        threading.Thread(target=lambda: found.append(loads(data, tmp_path)[1])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, False, False, True]


def test_a_model_that_changes_meanwhile_is_not_kept(tmp_path, monkeypatch):
    path, real = write("linear", tmp_path / "model"), prepared._prepare

    def late(*args):
        os.utime(path)
        return real(*args)

    monkeypatch.setattr(prepared, "_prepare", late)
    session = runtime.load(path, cache=tmp_path / "cache")
    assert "changed while it was read" in session.prepared.what
    assert session(*inputs("linear"))[0].shape == (5, 32)
    assert not list((tmp_path / "cache").rglob(MANIFEST))


def test_what_onnxruntime_refuses_is_prepared_once(tmp_path, monkeypatch):
    path, calls = write("linear", tmp_path / "model"), []

    def broken(folder, source, settings):
        calls.append(folder)
        (folder / prepared.MODEL).write_bytes(model("g (float[n] x) => (float[n] y) {y=No(x)}"))

    monkeypatch.setattr(prepared, "_prepare", broken)
    for _ in range(2):
        session = runtime.load(path, cache=tmp_path / "cache")
        assert session.prepared.what.startswith("ONNX Runtime refuses what it prepared: ")
        assert session(*inputs("linear"))[0].shape == (5, 32)
    assert len(calls) == 1


def taken_away(path: Path, kind: str) -> None:
    """What another process that clears the cache does to an entry, or a part of it."""
    if kind == "whole":
        shutil.rmtree(path)
    else:
        (path / prepared.MODEL).unlink()


@pytest.mark.parametrize("kind", ["whole", "part"])
@pytest.mark.parametrize("times", [1, 5])
def test_what_is_taken_away_meanwhile_is_no_refusal(kind, times, tmp_path, monkeypatch):
    path, cache = write("linear", tmp_path / "model"), tmp_path / "cache"
    real, left = prepared.Entry.check, [times]

    def check(self, name, threads=1):
        real(self, name, threads)
        if name == prepared.MODEL and left[0]:
            left[0] -= 1
            taken_away(self.folder, kind)

    monkeypatch.setattr(prepared.Entry, "check", check)
    session = runtime.load(path, cache=cache)
    is_made = times == 1
    assert (session.prepared.folder is not None) == is_made, session.prepared
    assert session(*inputs("linear"))[0].shape == (5, 32)
    monkeypatch.undo()
    assert loads(path, cache)[1] != is_made
    assert "refusal" not in Store(cache / FOLDER, 1 << 30).entries()[0].facts


def test_a_bad_model_leaves_no_refusal(tmp_path):
    bad = model("g (float[n] x) => (float[n] y) { y = Nonsense(x) }")
    with pytest.raises(runtime.LoadError, match="refuses the model"):
        runtime.load(bad, cache=tmp_path)
    assert Store(tmp_path / FOLDER, 1 << 30).entries() == []


def test_a_refusal_gives_a_session_of_the_model(tmp_path, monkeypatch):
    path, calls = write("linear", tmp_path / "model"), []

    def refuses(*args):
        calls.append(args)
        return "ONNX Runtime does not prepare it: today"

    monkeypatch.setattr(prepared, "_prepare", refuses)
    for _ in range(2):
        session = runtime.load(path, cache=tmp_path / "cache")
        assert str(session.prepared) == "ONNX Runtime does not prepare it: today"
        np.testing.assert_array_equal(
            session(*inputs("linear"))[0], runtime.load(path)(*inputs("linear"))[0]
        )
    assert len(calls) == 1


def test_models_that_are_not_prepared(tmp_path, monkeypatch):
    data = model(AFFINE)
    assert runtime.load(data, cache=False).prepared.what == "off"
    config = {"session.load_model_format": "ONNX"}
    assert "is set" in runtime.load(data, cache=tmp_path, config=config).prepared.what
    settings = runtime.load(data).settings
    asked = {"CUDAExecutionProvider": {}, "CPUExecutionProvider": {}}
    assert "CUDAExecutionProvider" in prepared.unfit(asked, settings, (1, 2))
    assert "own format" in prepared.unfit({}, settings, (0, 0))
    monkeypatch.setenv("SARDONYX_CACHE_BYTES", "1e2")
    assert "a limit of 100" in runtime.load(data, cache=tmp_path).prepared.what


def test_bad_models_fail_as_without_a_cache(tmp_path):
    bad = model("g (float[n] x) => (float[n] y) { y = Nonsense(x) }")
    for cache in (False, tmp_path / "cache"):
        with pytest.raises(runtime.LoadError, match="refuses the model"):
            runtime.load(bad, cache=cache)
        with pytest.raises(runtime.LoadError, match="does not exist"):
            runtime.load(tmp_path / "absent.onnx", cache=cache)


def test_the_environment_names_the_cache(tmp_path, monkeypatch):
    data = unary("Relu", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    for value in ("0", "", " ", "false", "No", "off"):
        monkeypatch.setenv("SARDONYX_CACHE", value)
        assert runtime.load(data).prepared.what == "off"
    assert os.listdir() == []
    for value in ("1", "True", "yes", "ON"):
        monkeypatch.setenv("SARDONYX_CACHE", value)
        assert str(tmp_path / "b" / "sardonyx" / "prepared") in str(runtime.load(data).prepared)
    assert os.listdir() == ["b"]
    monkeypatch.setenv("SARDONYX_CACHE", str(tmp_path / "a"))
    assert runtime.load(data).prepared.what == "prepared now"
    assert list((tmp_path / "a").rglob(MANIFEST))
    assert runtime.load(data, cache=False).prepared.what == "off"


def test_wrong_values():
    with pytest.raises(runtime.SettingsError) as caught:
        runtime.load(unary("Relu", 1), cache=7)
    assert str(caught.value) == (
        "cache is not valid\n  found: 7\n  expected: True, False or a folder"
    )


def test_a_folder_without_a_name_or_a_home_is_refused():
    for cache, more in (("", ""), ("~nosuch/x", " of a user who has a home")):
        with pytest.raises(runtime.SettingsError) as caught:
            runtime.load(unary("Relu", 1), cache=cache)
        assert str(caught.value) == (
            f"cache is not valid\n  found: {cache!r}\n  expected: True, False or a folder{more}"
        )


def test_files_of_the_caller_stay(tmp_path):
    names = ["poetry.lock", ".lock", f"{'e' * 64}.lock", "a" * 64, f"{'a' * 64}.{'b' * 16}.part"]
    for name in names:
        (tmp_path / name).write_text(name)
    blob = tmp_path / ("d" * 64) / "blob"
    blob.parent.mkdir()
    blob.write_text("blob")
    (tmp_path / "sources").mkdir()
    note = tmp_path / "sources" / f"{'f' * 64}.json"
    note.write_text("note")
    before = {path.name for path in tmp_path.iterdir()}
    loads(unary("Relu", 1), tmp_path)
    Store(tmp_path / FOLDER, 1 << 30).clear()
    assert {path.name for path in tmp_path.iterdir()} == before | {FOLDER}
    assert [(tmp_path / name).read_text() for name in names] == names
    assert (blob.read_text(), note.read_text()) == ("blob", "note")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="its users have homes")
def test_a_user_without_a_home_has_no_cache(monkeypatch):
    import pwd

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(RuntimeWarning, match="models are not cached: .*home.*; name a folder"):
        session = runtime.load(unary("Relu", 1), cache=True)
    assert session.prepared.what == "off"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text here")
def test_a_folder_whose_name_is_no_text_is_a_warning(tmp_path):
    with pytest.warns(RuntimeWarning, match=r"x\\udcff/sardonyx-prepared' is not UTF-8"):
        session = runtime.load(unary("Relu", 1), cache=str(tmp_path / "x\udcff"))
    assert session.prepared.what == "off"
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("SARDONYX_CACHE_BYTES", "many")
    with pytest.raises(runtime.SettingsError, match="SARDONYX_CACHE_BYTES is not valid"):
        runtime.load(unary("Relu", 1), cache=tmp_path)


def test_a_folder_that_cannot_be_used_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="models are not cached"):
        session = runtime.load(unary("Relu", 1), cache=tmp_path / "file")
    assert session.prepared.what == "off"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_maps_the_same_entry(tmp_path):
    path = write("linear", tmp_path / "model")
    session, _ = loads(path, tmp_path / "cache")
    (expected,) = session(*inputs("linear"))
    made = (entry(tmp_path / "cache") / MANIFEST).stat()
    os.utime(entry(tmp_path / "cache") / MANIFEST, (1, 1))
    child = os.fork()
    if child == 0:
        is_same = np.array_equal(session(*inputs("linear"))[0], expected)
        os._exit(0 if is_same else 1)
    assert os.waitpid(child, 0)[1] == 0
    used = (entry(tmp_path / "cache") / MANIFEST).stat()
    assert used.st_ino == made.st_ino
    assert used.st_mtime > 1

"""What a model is made of: the files that ONNX Runtime takes, each noticed when it is another."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from sardonyx import runtime
from sardonyx.runtime import content
from sardonyx.runtime.prepared import FOLDER
from sardonyx.runtime.store import Store

from .artifacts import write
from .models import model, unary
from .test_integrity import flip

X = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def weights(seed: int) -> np.ndarray:
    """Random weights, of another number for each seed."""
    return np.random.default_rng(seed).standard_normal((3, 4)).astype(np.float32)


def product(location: str = "w.bin") -> onnx.ModelProto:
    """A product with weights in a file; no tool signed it."""
    proto = onnx.load_from_string(model("g (float[n,3] x) => (float[n,4] y) { y = MatMul(x, w) }"))
    tensor = proto.graph.initializer.add(name="w", data_type=1, dims=[3, 4], data_location=1)
    tensor.external_data.add(key="location", value=location)
    return proto


def saved(folder: Path, seed: int) -> Path:
    """Such a model in a folder of its own."""
    folder.mkdir(parents=True)
    onnx.save(product(), folder / "net.onnx")
    weights(seed).tofile(folder / "w.bin")
    return folder / "net.onnx"


def test_weights_beside_a_link_are_those_of_the_session(tmp_path):
    plain = saved(tmp_path / "plain", seed=1)
    other = tmp_path / "other" / "net.onnx"
    other.parent.mkdir()
    other.symlink_to(plain)
    weights(2).tofile(other.parent / "w.bin")
    for path, seed in ((plain, 1), (other, 2), (plain, 1), (other, 2)):
        session = runtime.load(path, cache=tmp_path / "cache")
        assert session.prepared.folder is not None
        np.testing.assert_array_equal(session(X)[0], runtime.load(path)(X)[0])
        np.testing.assert_allclose(session(X)[0], X @ weights(seed), rtol=1e-5, atol=1e-6)


def test_weights_beside_a_link_are_watched(tmp_path, monkeypatch):
    plain, link = saved(tmp_path / "plain", seed=1), tmp_path / "other" / "net.onnx"
    link.parent.mkdir()
    link.symlink_to(plain)
    weights(2).tofile(link.parent / "w.bin")
    monkeypatch.setattr(content, "SETTLED", -(10**12))
    store = Store(tmp_path / "cache" / FOLDER, 1 << 30)
    runtime.load(link, cache=tmp_path / "cache")
    assert content.remembered(store, str(link), is_checked=True) is not None
    weights(3).tofile(tmp_path / "new.bin")
    os.replace(tmp_path / "new.bin", link.parent / "w.bin")
    assert content.remembered(store, str(link), is_checked=True) is None
    session = runtime.load(link, cache=tmp_path / "cache")
    np.testing.assert_allclose(session(X)[0], X @ weights(3), rtol=1e-5, atol=1e-6)


def test_links_to_files_of_other_names_are_prepared(tmp_path):
    """So are the folders of Hugging Face's cache."""
    blobs, shown = tmp_path / "blobs", tmp_path / "snapshots" / "rev" / "onnx"
    saved(blobs, seed=1).rename(blobs / "aaa")
    (blobs / "w.bin").rename(blobs / "bbb")
    shown.mkdir(parents=True)
    (shown / "net.onnx").symlink_to("../../../blobs/aaa")
    (shown / "w.bin").symlink_to("../../../blobs/bbb")
    for what in ("prepared now", "from the cache"):
        session = runtime.load(shown / "net.onnx", cache=tmp_path / "cache")
        assert session.prepared.what == what
        np.testing.assert_allclose(session(X)[0], X @ weights(1), rtol=1e-5, atol=1e-6)


def test_bytes_with_weights_in_files_are_not_prepared(tmp_path, monkeypatch):
    data = saved(tmp_path / "model", seed=1).read_bytes()
    monkeypatch.chdir(tmp_path / "model")
    for seed in (1, 2):
        weights(seed).tofile("new.bin")
        os.replace("new.bin", "w.bin")
        session = runtime.load(data, cache=tmp_path / "cache")
        said = "its weights are in files, and it was given as bytes"
        assert session.prepared == type(session.prepared)(said)
        np.testing.assert_allclose(session(X)[0], X @ weights(seed), rtol=1e-5, atol=1e-6)


def test_weights_that_cannot_be_read_fail_as_without_a_cache(tmp_path):
    path, said = saved(tmp_path / "model", seed=1), []
    (tmp_path / "model" / "w.bin").unlink()
    for cache in (False, tmp_path / "cache"):
        with pytest.raises(runtime.LoadError, match="ONNX Runtime refuses the model") as caught:
            runtime.load(path, cache=cache)
        said.append(str(caught.value))
    assert said[0] == said[1]
    weights(1).tofile(tmp_path / "model" / "w.bin")
    assert runtime.load(path, cache=tmp_path / "cache").prepared.what == "prepared now"


def test_content_that_cannot_be_read_is_not_prepared(tmp_path, monkeypatch):
    path = saved(tmp_path / "model", seed=1)

    def unreadable(path):
        raise runtime.LoadError("it cannot be read", where=Path(path).name, found="EIO")

    monkeypatch.setattr(content, "size_and_digest", unreadable)
    session = runtime.load(path, cache=tmp_path / "cache")
    assert str(session.prepared) == "it cannot be read: w.bin: EIO"
    np.testing.assert_allclose(session(X)[0], X @ weights(1), rtol=1e-5, atol=1e-6)

    def unknown(data):
        raise runtime.LoadError("the model is damaged", found="wire type 3")

    monkeypatch.setattr(content, "external_files", unknown)
    session = runtime.load(unary("Relu", 1), cache=tmp_path / "cache")
    assert str(session.prepared) == "the model is damaged: wire type 3"


def test_what_nobody_checked_is_no_reason_not_to_check(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "SETTLED", -(10**12))
    path, cache = write("linear", tmp_path / "model", True), tmp_path / "cache"
    store = Store(cache / FOLDER, 1 << 30)
    (beside,) = path.parent.glob("*.data")
    flip(beside, 77)
    runtime.load(path, cache=cache, verify=False)
    assert content.remembered(store, str(path), is_checked=False) is not None
    with pytest.raises(runtime.IntegrityError):
        runtime.load(path, cache=cache)
    flip(beside, 77)
    runtime.load(path, cache=cache)
    for is_checked in (False, True):
        assert content.remembered(store, str(path), is_checked=is_checked) is not None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_weights_in_a_pipe_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    onnx.save(product("pipe"), tmp_path / "net.onnx")
    with pytest.raises(runtime.LoadError, match="regular file"):
        runtime.load(tmp_path / "net.onnx", cache=tmp_path / "cache")

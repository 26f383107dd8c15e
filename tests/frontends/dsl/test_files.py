"""Parameters go to files and come back; other libraries read and write them too."""

from __future__ import annotations

import builtins
import io

import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from sardonyx.compiler.errors import ExportError
from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree


@dsl.model(x=dsl.f32["n", 3])
def net(x):
    x = dsl.linear(x, 5, name="first")
    scale = dsl.parameter("scale", (), dsl.init.normal(1.0))
    return dsl.linear(x, 2, bias=False) * scale


def fresh(seed):
    return net.build(seed=seed)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_what_is_saved_is_what_is_loaded(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    one, two = fresh(1), fresh(2)
    one.save_parameters(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert two.load(path) is two
    for name, wanted in one.state().items():
        got = two.state()[name]
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
    assert two.load(str(path)).state().keys() == one.state().keys()


def test_safetensors_are_those_of_pytorch(tmp_path):
    path = tmp_path / "weights.safetensors"
    twin = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2, bias=False))
    safetensors.torch.save_file({**twin.state_dict(), "s": torch.tensor(1.5)}, path)
    names = {
        "first.weight": "0.weight",
        "first.bias": "0.bias",
        "linear.weight": "1.weight",
        "scale": "s",
    }
    x = torch.randn(4, 3)
    agree(fresh(0).load(path, names), 1.5 * twin(x).detach(), rtol=1e-5, x=x.numpy())
    fresh(3).save_parameters(path)
    back = safetensors.torch.load_file(path)
    assert {n: tuple(t.shape) for n, t in back.items()} == {
        n: p.shape for n, p in net.parameters().items()
    }
    np.testing.assert_array_equal(back["scale"].numpy(), fresh(3).state()["scale"])


@pytest.mark.parametrize("dtype", ["bf16", "f16", "f64", "f8e4m3fn", "f8e5m2", "i8", "bool_"])
def test_safetensors_hold_every_dtype(tmp_path, dtype):
    kind = dsl.DType(dtype, getattr(dsl, dtype).code) if hasattr(dsl, dtype) else None
    name = dtype if kind is None else kind

    @dsl.model(x=dsl.f32[2])
    def typed(x):
        return dsl.parameter("w", (2, 3), dsl.init.constant(1), dtype=name).cast("f32") + x[0]

    path = tmp_path / "w.safetensors"
    typed.save_parameters(path)
    got = typed.build(seed=1).load(path).state()["w"]
    assert got.dtype == typed.state()["w"].dtype
    assert (got.astype(np.float32) == 1).all()


def test_npz_is_that_of_numpy(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **{k: v + 1 for k, v in fresh(1).state().items()})
    loaded = fresh(2).load(path).state()
    np.testing.assert_array_equal(loaded["scale"], fresh(1).state()["scale"] + 1)
    with np.load(path) as archive:
        assert set(archive.files) == set(net.parameters())


def test_numbers_of_state_are_copies():
    model = fresh(1)
    model.state()["scale"][...] = 99
    assert model.state()["scale"] != 99


def damaged(kind):
    if kind == "text":
        return b"not a file of parameters"
    held = io.BytesIO()
    if kind == "npy":
        np.save(held, np.ones(3))
    elif kind == "objects":
        np.savez(held, a=np.array([{}], object))
    elif kind == "cut":
        np.savez(held, a=np.ones(300))
        return held.getvalue()[:200]
    elif kind == "empty":
        return b""
    return held.getvalue()


@pytest.mark.parametrize("kind", ["text", "npy", "objects", "cut", "empty"])
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_damaged_file_is_refused(tmp_path, kind, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(damaged(kind))
    with pytest.raises(dsl.DslError, match="is damaged, or of another kind") as caught:
        net.load(path)
    assert "test_files.py" in caught.value.where
    assert str(path) in caught.value.found


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("missing.npz", "cannot be read", "check the path"),
        ("w.pt", "no such kind of file", "weights_only=True"),
        ("w.txt", "no such kind of file", "weights.safetensors"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, name, what, remedy):
    with pytest.raises(dsl.DslError, match=what) as caught:
        net.load(tmp_path / name)
    assert remedy in caught.value.remedy
    if "kind" in what:
        with pytest.raises(dsl.DslError, match=what):
            net.save_parameters(tmp_path / name)


def test_a_dtype_that_a_file_cannot_hold(tmp_path):
    small = dsl.model(x=dsl.bf16["n", 3])(lambda x: dsl.linear(x, 2))
    with pytest.raises(dsl.DslError, match="does not have this dtype") as caught:
        small.save_parameters(tmp_path / "w.npz")
    assert caught.value.found == "'linear.weight' of dtype bfloat16"
    assert caught.value.remedy == "write a .safetensors file"
    unsigned = dsl.model(x=dsl.f32[2])(lambda x: x + dsl.parameter("w", (2,)))
    unsigned.load({"w": np.ones(2, ml_dtypes.bfloat16)}).save_parameters(tmp_path / "w.npz")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ExportError, match="cannot be written there"):
        net.save_parameters(tmp_path / "none" / "w.npz")


def test_without_the_package(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **named):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(dsl.DslError, match="safetensors is not installed") as caught:
        net.save_parameters(tmp_path / "w.safetensors")
    assert "pip install" in caught.value.remedy

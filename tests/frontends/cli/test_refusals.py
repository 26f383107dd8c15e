"""Wrong input: one clear error, exit code 2, no traceback, no file left behind."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models import normal


@pytest.fixture
def made(tmp_path):
    """Where a model would be written; nothing may be there after a refusal."""
    path = tmp_path / "out" / "made.onnx"
    path.parent.mkdir()
    yield path
    assert list(path.parent.iterdir()) == []


def test_a_file_that_is_not_there(sardonyx, made, tmp_path):
    for command in (
        ["compile", tmp_path / "no.onnx", "-o", made],
        ["inspect", tmp_path / "no.onnx"],
    ):
        assert "no.onnx" in sardonyx.refused(*command)
    for command in ("run", "bench"):
        assert "no.onnx" in sardonyx.refused(command, tmp_path / "no.onnx")


def test_a_file_that_is_truncated(sardonyx, net, made, tmp_path):
    (tmp_path / "cut.onnx").write_bytes(net.read_bytes()[:-20])
    assert "truncated" in sardonyx.refused("compile", tmp_path / "cut.onnx", "-o", made)
    assert "truncated" in sardonyx.refused("run", tmp_path / "cut.onnx")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_a_file_that_is_no_model(sardonyx, made, tmp_path, content):
    (tmp_path / "not.onnx").write_bytes(content)
    assert "not an ONNX model" in sardonyx.refused("compile", tmp_path / "not.onnx", "-o", made)
    sardonyx.refused("run", tmp_path / "not.onnx")


def test_a_folder_instead_of_a_file(sardonyx, net, made, tmp_path):
    sardonyx.refused("compile", tmp_path, "-o", made)
    sardonyx.refused("run", tmp_path)
    assert "folder" in sardonyx.refused("compile", net, "-o", made.parent)


def test_a_place_that_cannot_be_written(sardonyx, net, tmp_path):
    assert "folder" in sardonyx.refused("compile", net, "-o", tmp_path / "no" / "made.onnx")
    assert "cannot be written" in sardonyx.refused("run", net, "-o", tmp_path / "no" / "out.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("option", ["x", "x:0", "x=batch", "x:a=batch", ":0=batch", "x:0=2x", ""])
def test_a_malformed_dynamic_option(sardonyx, net, made, option):
    said = sardonyx.refused("compile", net, "-o", made, "--dynamic", option)
    assert "x:0=batch" in said


def test_a_dynamic_dimension_that_the_model_lacks(sardonyx, net, made):
    assert "one of x" in sardonyx.refused("compile", net, "-o", made, "--dynamic", "z:0=batch")
    said = sardonyx.refused("compile", net, "-o", made, "--dynamic", "x:1=width")
    assert "[batch,4]" in said.replace(" ", "")
    sardonyx.refused("compile", net, "-o", made, "--dynamic", "x:2=width")
    sardonyx.refused("compile", net, "-o", made, "--dynamic", "x:-3=width")


@pytest.mark.parametrize("option", ["batch", "batch=", "batch=x", "batch=-1", "=2", ""])
def test_a_malformed_dim_option(sardonyx, net, option):
    assert "batch=4" in sardonyx.refused("run", net, "--dim", option)


def test_a_dim_that_the_model_lacks(sardonyx, net):
    assert "batch" in sardonyx.refused("run", net, "--dim", "rows=2")
    assert "batch" in sardonyx.refused("bench", net, "--dim", "rows=2")


def test_inputs_that_cannot_be_used(sardonyx, net, tmp_path):
    def given(array: np.ndarray) -> str:
        np.save(tmp_path / "x.npy", array)
        return f"x={tmp_path}/x.npy"

    assert "NAME=FILE.npy" in sardonyx.refused("run", net, "-i", "x")
    assert "NAME=FILE.npy" in sardonyx.refused("run", net, "-i", "=x.npy")
    assert "no such input file" in sardonyx.refused("run", net, "-i", "x=no.npy")
    assert "no input 'z'" in sardonyx.refused(
        "run", net, "-i", given(normal(1, 4)).replace("x=", "z=")
    )
    assert "dtype" in sardonyx.refused("run", net, "-i", given(np.ones((1, 4), np.int64)))
    assert "axis 1" in sardonyx.refused("run", net, "-i", given(normal(1, 5)))
    assert "x" in sardonyx.refused("run", net, "-i", given(normal(4)))
    (tmp_path / "x.npy").write_bytes(b"no")
    assert ".npy" in sardonyx.refused("run", net, "-i", f"x={tmp_path}/x.npy")


def test_options_that_do_not_exist(sardonyx, net, made):
    assert "portable" in sardonyx.refused("compile", net, "-o", made, "--target", "abacus")
    assert "18 to 23" in sardonyx.refused("compile", net, "-o", made, "--opset", 99)
    assert "cpu" in sardonyx.refused("run", net, "--provider", "abacus")
    assert "-3" in sardonyx.refused("run", net, "--threads", -3)
    assert sardonyx("compile", net, "-o", made, "--verify-level", 7) == 2
    assert sardonyx("bench", net, "--seconds", -1) == 2
    assert sardonyx("compile", net) == 2


def test_a_failed_compilation_leaves_an_older_file_alone(sardonyx, net, tmp_path):
    kept = tmp_path / "kept.onnx"
    kept.write_bytes(net.read_bytes())
    (tmp_path / "cut.onnx").write_bytes(net.read_bytes()[:-20])
    sardonyx.refused("compile", tmp_path / "cut.onnx", "-o", kept)
    assert kept.read_bytes() == net.read_bytes()


def test_tuning_of_what_cannot_be_tuned(sardonyx, net, made, tmp_path):
    assert "no.onnx" in sardonyx.refused("tune", tmp_path / "no.onnx")
    assert "no dimension 'bach'" in sardonyx.refused("tune", net, "--dim", "bach=2")
    assert "need an accuracy" in sardonyx.refused("tune", net, "--variant", f"half={net}")
    assert "no provider to try" not in sardonyx.refused("tune", net, "--provider", "abacus")
    assert "add --tune SECONDS" in sardonyx.refused("compile", net, "-o", made, "--accuracy", 1)


def test_a_plugin_that_cannot_be_loaded(sardonyx, net, tmp_path, monkeypatch):
    place = tmp_path / "site" / "onnxruntime_ep_apex"
    place.mkdir(parents=True)
    library = place / "libapex.so"
    said = ["ApexExecutionProvider", str(library)]
    functions = zip(("get_ep_name", "get_library_path"), said, strict=True)
    lines = [f"{name} = lambda: {value!r}" for name, value in functions]
    (place / "__init__.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(place.parent)
    for command in ("run", "bench"):
        said = sardonyx.refused(command, net, "--provider", "apex")
        assert "provider apex did not start" in said
        assert f"{library}: cannot open shared object file" in said
    listed = {row["provider"]: row for row in sardonyx.json("devices")["providers"]}
    assert listed["apex"]["starts"] is False
    assert f"{library}: cannot open shared object file" in listed["apex"]["problem"]

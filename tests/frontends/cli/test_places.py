"""What is written, and where: known before a model is read; and arrays in files."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.support.models import normal

NEVER = "def make():\n    raise AssertionError('this would have taken minutes')\n"


@pytest.fixture
def never(tmp_path):
    """A source that must not be asked for its model."""
    (tmp_path / "slow.py").write_text(NEVER)
    return f"{tmp_path / 'slow.py'}:make"


@pytest.mark.parametrize(
    "command",
    [
        ("compile", "--output"),
        ("run", "--output"),
        ("profile", "--trace"),
        ("inspect", "--dsl"),
    ],
)
def test_a_place_is_looked_at_before_the_work(sardonyx, never, tmp_path, command):
    name, option = command
    for place, found in (
        (tmp_path, "the path is a folder"),
        (tmp_path / "no" / "file", f"'{tmp_path / 'no'}' is no folder"),
        (tmp_path / "slow.py" / "file", f"'{tmp_path / 'slow.py'}' is no folder"),
    ):
        said = sardonyx.refused(name, never, option, place)
        assert f"What {option} names cannot be written." in said
        assert found in said
    assert [path.name for path in tmp_path.iterdir()] == ["slow.py"]


def test_a_folder_of_small_models_is_looked_at_too(sardonyx, never, tmp_path):
    for place in (tmp_path / "slow.py", tmp_path / "slow.py" / "deeper"):
        wanted = ("-o", tmp_path / "made.onnx", "--repros", place)
        said = sardonyx.refused("compile", never, *wanted)
        assert "What --repros names cannot be written." in said
    fine = ("-o", tmp_path / "made.onnx", "--repros", tmp_path / "new" / "folder")
    assert "this would have taken minutes" in sardonyx.refused("compile", never, *fine)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files here")
def test_what_is_no_regular_file_is_not_replaced(sardonyx, never, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in sardonyx.refused("compile", never, "-o", tmp_path / "pipe")


def test_a_folder_that_cannot_be_written_to(sardonyx, never, net, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    said = sardonyx.refused("compile", never, "-o", net.parent / "made.onnx")
    assert "found: Permission denied" in said
    said = sardonyx.refused("tune", net, "--seconds", 0)
    assert "add --no-store" in said


def test_tuning_and_preparing_want_a_model_file(sardonyx, never, net):
    for command in (
        ("tune", never),
        ("tune", net, "--accuracy", 1, "--variant", f"half={never}"),
        ("cache", never),
    ):
        said = sardonyx.refused(*command)
        assert "This takes a compiled model file, and no Python file." in said
        assert f"sardonyx compile {never} -o net.onnx" in said


def test_variants_are_model_files(sardonyx, net):
    said = sardonyx.refused("tune", net, "--variant", "half")
    assert "--variant is malformed." in said
    assert "NAME=FILE.onnx" in said
    assert "no such model file" in sardonyx.refused("tune", net, "--variant", "half=no.onnx")


def test_an_array_of_several_is_named(sardonyx, net, tmp_path):
    one, two, none = (tmp_path / f"{name}.npz" for name in ("one", "two", "none"))
    x = normal(3, 4)
    np.savez(one, anything=x)
    np.savez(two, first=x, second=x[:1])
    np.savez(none)
    shapes = {
        f"x={one}": 3,
        f"x={one}:anything": 3,
        f"x={two}:first": 3,
        f"x={two}:second": 1,
    }
    for option, rows in shapes.items():
        (output,) = sardonyx.json("run", net, "-i", option)["outputs"]
        assert output["shape"][0] == rows
    said = sardonyx.refused("run", net, "-i", f"x={two}")
    assert "The input file holds 2 arrays." in said
    assert "found: first, second" in said
    assert f"--input x={two}:first" in said
    assert "has no array 'third'" in sardonyx.refused("run", net, "-i", f"x={two}:third")
    assert "holds 0 arrays" in sardonyx.refused("run", net, "-i", f"x={none}")
    assert "no such input file" in sardonyx.refused("run", net, "-i", f"x={tmp_path}/no.npz:x")


def test_numpy_does_not_advise_to_run_what_a_file_holds(sardonyx, net, tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    said = sardonyx.refused("run", net, "-i", f"x={tmp_path}/x.npy")
    assert "found: pickled objects, or other bytes" in said
    assert "allow_pickle" not in said
